"""Which functions a query may call. Data, no code: an allow-list by engine, and what is refused by name.

A function is allowed when sqlglot knows it (it then has a class of its own) and it is not among `REFUSED`,
or when its name stands in the engine's list below. Everything else is unknown and refused: a blocklist would
have to be right about every version of every engine.
"""

from __future__ import annotations

import re

from sqlglot import exp

# Known to sqlglot, but they read files, settings or secrets, call out, or lend a query powers beyond its
# rows.
REFUSED: tuple[type[exp.Expr], ...] = (
    exp.ReadCSV, exp.ReadParquet, exp.ToFile, exp.Secret, exp.NextValueFor, exp.DynamicIdentifier,
    exp.CurrentUser, exp.SessionUser, exp.CurrentRole, exp.CurrentSchemas, exp.CurrentIpAddress,
    exp.CurrentSession, exp.CurrentStatement, exp.CurrentTransaction, exp.CurrentVersion,
    exp.CurrentClient, exp.CurrentAccount, exp.CurrentAccountName, exp.CurrentAvailableRoles,
    exp.CurrentSecondaryRoles, exp.CurrentUserId, exp.CurrentWarehouse, exp.CurrentOrganizationName,
    exp.CurrentOrganizationUser, exp.CurrentRegion, exp.AIAgg, exp.AIClassify, exp.AIEmbed,
    exp.AIForecast, exp.AIGenerate, exp.AISimilarity, exp.AISummarizeAgg, exp.GenerateBool,
    exp.GenerateDouble, exp.GenerateEmbedding, exp.GenerateInt, exp.GenerateTable, exp.GenerateText,
    exp.MLForecast, exp.MLTranslate, exp.Predict, exp.FeaturesAtTime, exp.VectorSearch, exp.NetFunc,
    exp.Host, exp.OpenJSON, exp.XMLTable, exp.StoredProcedure, exp.Decrypt, exp.DecryptRaw,
    exp.Encrypt, exp.EncryptRaw, exp.Generator, exp.Randstr,
)  # fmt: skip

# Their size is an argument: the engines build the value in one step, past every limit of time
# (duckdb_database.py).
SIZED: tuple[type[exp.Expr], ...] = (exp.Repeat, exp.Space, exp.Pad)
SERIES: tuple[type[exp.Expr], ...] = (
    exp.GenerateSeries,
    exp.ExplodingGenerateSeries,
    exp.GenerateDateArray,
)
LONGEST = 10_000  # characters of repeat() and lpad()
LARGEST = 1_000_000  # bound of a series
WIDE = re.compile(r"\d{4,}|\*|\{[^}]*\{")  # widths in patterns of format() and printf()

DUCKDB_FUNCTIONS = frozenset(
    """
    add age ago aggregate alias arbitrary arg_max_null arg_min_null array_aggr array_aggregate array_apply
    array_extract array_grade_up array_has_any array_indexof array_pop_back array_pop_front array_push_back
    array_push_front array_reduce array_reverse_sort array_select array_sort array_to_json array_transform
    array_unique array_value array_where array_zip base64 bin bit_count bit_position bitstring bitstring_agg
    cardinality century combine constant_or_null count_star damerau_levenshtein date_part date_sub datepart
    datesub days_in_month decade divide element_at entropy enum_code enum_first enum_last enum_range epoch_ns
    epoch_us equi_width_bins era even favg fdiv fill fmod formatreadabledecimalsize formatreadablesize
    format_bytes from_binary fsum gamma gcd generate_subscripts geomean geometric_mean grade_up
    greatest_common_divisor hamming hash histogram histogram_exact ilike_escape isfinite isoyear jaccard
    jaro_similarity json_array_length json_contains json_exists json_group_array json_group_object
    json_group_structure json_merge_patch json_quote json_structure json_transform json_valid json_value
    julian kahan_sum kurtosis_pop lcm least_common_multiple left_grapheme length_grapheme lgamma like_escape
    list_aggr list_aggregate list_any_value list_apply list_approx_count_distinct list_avg list_bit_and
    list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_count list_element list_entropy
    list_extract list_first list_grade_up list_has_all list_histogram list_indexof list_intersect
    list_kurtosis list_last list_mad list_median list_mode list_pack list_position list_product list_reduce
    list_reverse list_reverse_sort list_select list_slice list_sort list_stddev_pop list_stddev_samp
    list_string_agg list_sum list_unique list_var_pop list_var_samp list_where list_zip mad make_timestamp_ms
    make_timestamp_ns make_timestamptz map_concat map_contains map_contains_entry map_contains_value
    map_entries map_extract map_extract_value map_values md5_number mean microsecond millennium millisecond
    mismatches multiply nanosecond nextafter nfc_normalize now octet_length ord prefix printf product
    regexp_escape regexp_split_to_array reservoir_quantile right_grapheme round_even roundbankers row
    row_to_json sem set_bit signbit strip_accents strlen struct_concat struct_contains struct_extract_at
    struct_has struct_indexof struct_insert struct_keys struct_position struct_update struct_values
    substring_grapheme subtract suffix sumkahan timezone timezone_hour timezone_minute to_base to_centuries
    to_decades to_hours to_json to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters
    to_seconds to_weeks to_years transaction_timestamp try_strptime unbin union_extract union_tag union_value
    url_decode url_encode wavg weekday weighted_avg yearweek
    """.split()  # noqa: SIM905 (200 names read better so)
)

# The whole list that SQLite itself is held to, whatever the parser thinks (sqlite_database.py).
SQLITE_FUNCTIONS = frozenset(
    """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat concat_ws cos
    cosh count cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp
    first_value floor glob group_concat hex ifnull iif if instr json json_array json_array_length
    json_extract json_group_array json_group_object json_insert json_object json_patch json_quote json_remove
    json_replace json_set json_type json_valid julianday lag last_value lead length like likelihood likely ln
    log log10 log2 lower ltrim match max min mod nth_value ntile nullif octet_length percent_rank pi pow
    power quote radians random rank regexp replace round row_number rtrim sign sin sinh soundex sqrt strftime
    string_agg substr substring sum tan tanh time timediff total trim trunc typeof unhex unicode unixepoch
    unlikely upper
    """.split()  # noqa: SIM905
)

POSTGRES_FUNCTIONS = frozenset(
    """
    age array_agg array_append array_cat array_dims array_lower array_ndims array_positions array_prepend
    array_replace array_to_json array_upper btrim cardinality clock_timestamp date_part div every gcd isfinite
    json_agg jsonb_agg jsonb_array_length jsonb_build_array jsonb_build_object jsonb_object_keys jsonb_typeof
    justify_days justify_hours justify_interval lcm make_date make_interval make_time make_timestamp
    make_timestamptz min_scale now num_nonnulls num_nulls octet_length regexp_count regexp_match
    regexp_split_to_array row_to_json scale statement_timestamp string_agg timeofday to_json to_jsonb
    transaction_timestamp trim_scale width_bucket
    """.split()  # noqa: SIM905
)

MYSQL_FUNCTIONS = frozenset(
    """
    adddate bit_count char_length character_length conv crc32 curdate curtime date_format dayname dayofmonth
    elt export_set field find_in_set from_days get_format inet_aton inet_ntoa json_contains json_length
    json_unquote last_day locate makedate maketime microsecond mid monthname now oct octet_length period_add
    period_diff position quarter sec_to_time strcmp subdate subtime sysdate time_format time_to_sec timediff
    to_days to_seconds unix_timestamp utc_date utc_time weekday weekofyear yearweek
    """.split()  # noqa: SIM905
)

BY_ENGINE: dict[str, frozenset[str]] = {
    "duckdb": DUCKDB_FUNCTIONS,
    "sqlite": SQLITE_FUNCTIONS,
    "postgres": POSTGRES_FUNCTIONS,
    "mysql": MYSQL_FUNCTIONS,
}

# Functions that may stand in FROM like a table: they make rows one by one, and can be interrupted.
TABLE_FUNCTIONS: tuple[type[exp.Expr], ...] = (*SERIES, exp.Unnest, exp.Explode)


def allowed(engine: str) -> frozenset[str]:
    """Functions that sqlglot has no class for, and that the engine may be asked to call."""
    return BY_ENGINE.get(engine, frozenset())


def too_large(node: exp.Expr) -> str | None:
    """Why a call may build a value that no limit can stop; None if it is small.

    A guess from the text: what is small there may still be made large by computing. It catches what models
    and the curious write; what is left is for the process's own memory limit.
    """
    if isinstance(node, SIZED):
        count = node.args.get("times") if isinstance(node, exp.Repeat) else node.args.get("expression")
        if isinstance(node, exp.Space):
            count = node.this
        if not (isinstance(count, exp.Literal) and not count.is_string and float(count.this) <= LONGEST):
            return f"the length must be written as a number of at most {LONGEST:,}"
    if isinstance(node, exp.Anonymous) and node.name.lower() == "bitstring":
        count = (node.expressions or [None])[-1]
        if not (isinstance(count, exp.Literal) and not count.is_string and float(count.this) <= LONGEST):
            return f"the length must be written as a number of at most {LONGEST:,}"
    if isinstance(node, SERIES) and not isinstance(node.parent, (exp.Table, exp.Lateral)):
        numbers = [found for found in node.find_all(exp.Literal) if not found.is_string]
        grown = node.find(exp.Mul, exp.Pow, exp.BitwiseLeftShift)
        if grown is not None or any(float(found.this) > LARGEST for found in numbers):
            return f"as a list, bounds must be written as numbers of at most {LARGEST:,}"
    if (isinstance(node, exp.Anonymous) and node.name.lower() == "printf") or isinstance(node, exp.Format):
        pattern = node.this if isinstance(node, exp.Format) else (node.expressions or [None])[0]
        if not (isinstance(pattern, exp.Literal) and pattern.is_string) or WIDE.search(pattern.this):
            return "the pattern must be text without a computed width or one of four digits"
    return None
