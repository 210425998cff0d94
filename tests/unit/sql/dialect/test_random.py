"""The specs that come along, and random ones: whatever a spec says, existing queries keep their rows, and the text that
is written is read back to what writes it again.
"""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from sqlora.errors import DialectError
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.contradictions import contradictions
from sqlora.sql.dialect.shipped import shipped_dialects
from sqlora.sql.dialect.spec import QUOTING, Booleans, Casts, DialectSpec, Literals, Ordering, Pagination, SetOperators
from tests.unit.sql.dialect.test_properties import DUCKDB, queries, rows

SHIPPED = {name: load_dialect(name) for name in shipped_dialects()}

words = st.sampled_from(
    ["VIA", "GETS", "PICKED", "ONLY_IF", "FAR_FROM", "OUGHT TO BE", "ZU", "MÄR", "KEEP", "SKIP", "FIRST", "NEXT_UP"]
)


def some(base: list[str], house: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """A few of the base's words under other names."""
    return st.dictionaries(house, st.sampled_from(base), max_size=3)


specs = st.builds(
    DialectSpec,
    name=st.just("random"),
    syntax=st.sampled_from(["select", "select", "pipe"]),
    identifier_quotes=st.sampled_from([('"', '"'), ("[", "]"), ("`", "`"), ("«", "»")]),
    string_quote=st.sampled_from(["'", "'", "^", '"']),
    name_case=st.sampled_from([None, "upper", "lower", "any", "exact"]),
    pagination=st.one_of(
        st.builds(Pagination, style=st.sampled_from(["limit", "top", "fetch", "top-fetch", "rownum"])),
        st.builds(Pagination, limit=words, offset=words, offset_first=st.booleans()),
    ),
    literals=st.builds(
        Literals,
        date=st.sampled_from([None, "#%d.%m.%Y#", "{d %Y-%m-%d}".replace("%Y-%m-%d", "'%Y-%m-%d'"), "D '%d %b %Y'"]),
        timestamp=st.sampled_from([None, "#%Y-%m-%d %H:%M:%S#"]),
        interval=st.sampled_from([None, "quoted", "string", "number", "labelled"]),
    ),
    ordering=st.builds(Ordering, nulls=st.sampled_from([None, "low", "high", "last"]), explicit=st.booleans(), aggregates=st.sampled_from([None, "within_group"])),
    casts=st.builds(Casts, style=st.sampled_from([None, "call", "colons", "convert"])),
    set_operators=st.builds(
        SetOperators, union=st.one_of(st.none(), words), union_all=st.one_of(st.none(), words), except_=st.one_of(st.none(), words)
    ),
    booleans=st.sampled_from([Booleans(), Booleans(true="1", false="0")]),
    keywords=some(["NULL", "LIKE", "ORDER BY", "GROUP BY", "AND", "DISTINCT", "CASE", "BETWEEN", "AS"], words),
    operators=some(["<>", "=", "||", ">="], st.sampled_from(["~=", "≠", "⧺", "=", "&"])),
    functions=st.dictionaries(st.sampled_from(["TOTAL(x)", "ADDED(x)", "COUNTED()"]), st.sampled_from(["SUM(x)", "AVG(x)", "x * 2"]), max_size=2),
    macros=st.sampled_from([{}, {"@day": "DATE '2025-03-31'"}, {"{{ few }}": "n < 3", "@t": "(SELECT * FROM t WHERE n = 1)"}]),
    types=some(["DECIMAL", "DOUBLE", "VARCHAR", "DATE"], st.sampled_from(["NUM", "WORDS", "DAY", "FLOATING"])),
)  # fmt: skip


def settled(spec: DialectSpec) -> DialectSpec:
    """The spec without what contradicts the rest of it."""
    while problems := contradictions(spec):
        values = spec.model_dump()
        for section, *names in (key for key, _ in problems):
            if section == "quoting":
                for field in QUOTING.values():
                    values.pop(field, None)
            elif isinstance(getattr(spec, section), dict) and names:
                values[section].pop(names[0], None)
            else:
                values.pop(section, None)
        spec = DialectSpec(**values)
    return spec


def keeps_its_meaning(dialect: Dialect, query: str) -> None:
    try:
        text = dialect.generate(DUCKDB.parse(query))
    except DialectError as refusal:  # the spec has no way to say it, and says so
        event(f"cannot be written: {refusal.message.partition(':')[0]}")
        return
    read = dialect.parse(text)
    assert dialect.generate(read) == text
    assert dialect.parse(dialect.generate(read)) == read
    assert as_numbers(rows(read.sql("duckdb"))) == as_numbers(rows(query))


def as_numbers(found: list[str] | str) -> str:
    """The rows with 1 for True: a dialect without booleans gives the one for the other."""
    return str(sorted(str(row).replace("True", "1").replace("False", "0") for row in found))


@settings(max_examples=60, deadline=None)
@given(queries, st.sampled_from(list(SHIPPED.values())))
def test_the_specs_that_come_along(query: str, dialect: Dialect) -> None:
    keeps_its_meaning(dialect, query)


@settings(max_examples=60, deadline=None)
@given(specs.map(settled), st.lists(queries, min_size=1, max_size=4))
def test_random_specs(spec: DialectSpec, some_queries: list[str]) -> None:
    assert DialectSpec.from_text(spec.to_toml()) == spec
    dialect = Dialect("random", spec)
    for query in some_queries:
        keeps_its_meaning(dialect, query)
