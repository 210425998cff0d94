"""A dialect spec: read, written, and what is wrong with it, all at once and with lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import DialectError
from sqlora.sql.dialect.spec import DialectSpec, Pagination

RETAIL = Path(__file__).parents[4] / "examples" / "retail" / "dialect.toml"


def problems(text: str) -> list[tuple[int, str]]:
    """The listed problems as (line, text after the line)."""
    with pytest.raises(DialectError) as refused:
        DialectSpec.from_text(text, "house.toml")
    listed = re.findall(r"^  (?:line (\d+), )?(.*)$", refused.value.message, flags=re.MULTILINE)
    return [(int(line or 0), reason) for line, reason in listed]


def test_the_retail_dialect() -> None:
    spec = DialectSpec.from_toml(RETAIL)
    assert (spec.name, spec.base) == ("larkql", "duckdb")
    assert spec.identifier_quotes == ("[", "]")
    assert spec.string_quote == '"'
    assert spec.pagination == Pagination(limit="TAKE", offset="SKIP", offset_first=True)
    assert spec.keywords == {"RESEMBLES": "ILIKE", "MISSING": "NULL", "VIA": "USING"}
    assert spec.operators == {"~=": "<>"}
    assert spec.functions["RATIO(a, b)"] == "a / NULLIF(b, 0)"
    assert spec.types == {"NUMBER": "DECIMAL", "TEXT": "VARCHAR", "DAY": "DATE"}
    assert DialectSpec.from_text(spec.to_toml()) == spec


def test_a_minimal_spec() -> None:
    spec = DialectSpec.from_text('name = "plain"')
    assert spec == DialectSpec(name="plain")
    assert DialectSpec.from_text(spec.to_toml()) == spec


words = st.from_regex(r"HQ[A-Z]{1,6}", fullmatch=True)


@given(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.dictionaries(words, st.sampled_from(["NULL", "USING", "ILIKE", "ORDER BY"]), max_size=3),
    st.dictionaries(words, st.sampled_from(["DECIMAL", "DATE", "DECIMAL(9, 2)"]), max_size=3),
    st.dictionaries(words.map("{}(x)".format), st.sampled_from(["SUM(x)", "x + 1", "x || '\"'"]), max_size=3),
    st.sampled_from([("[", "]"), ("`", "`"), ("'", "'"), ("«", "»")]),
)
def test_toml_round_trip(
    description: str,
    keywords: dict[str, str],
    types: dict[str, str],
    functions: dict[str, str],
    quotes: tuple[str, str],
) -> None:
    functions = {house: base for house, base in functions.items() if house[:-3] not in keywords}
    spec = DialectSpec(
        name="a-b_c",
        description=description,
        identifier_quotes=quotes,
        string_quote='"',
        operators={"~=": "<>"},
        keywords=keywords,
        types=types,
        functions=functions,
        pagination=Pagination(limit="FIRSTLY", offset_first=False),
    )
    assert DialectSpec.from_text(spec.to_toml()) == spec


BAD = """\
name = "bad one"
base = "duckdb"

[quoting]
identifiers = ["'", "]]"]
strings = "'"

[pagination]
limit = "TAKE"
offset = "TAKE"

[keywords]
TOTAL = "NULL"
FROM = "WHERE"
"V-A" = "USING"

[operators]
"~x" = "<>"

[functions]
"TOTAL(x)" = "SUM(x)"
"total(y)" = "AVG(y)"
"F(x" = "SUM(x)"
"G(x, x)" = "x + x"
"H(x)" = "SUM(x"
"I(x)" = "x + z"
"J(x, y)" = "x + 1"
"K(x)" = "x"
"L()" = "SELECT 1"
"M(a...)" = "a + 1"

[types]
MONEY = "NO SUCH TYPE"
"""


def test_everything_wrong_is_said_at_once() -> None:
    assert [(line, reason.partition(":")[0]) for line, reason in problems(BAD)] == [
        (1, "name"),
        (5, "quoting.identifiers"),
        (6, "quoting.strings"),
        (10, "pagination.offset"),
        (13, "keywords.TOTAL"),
        (14, "keywords.FROM"),
        (15, "keywords.V-A"),
        (18, 'operators."~x"'),
        (22, 'functions."total(y)"'),
        (23, 'functions."F(x"'),
        (24, 'functions."G(x, x)"'),
        (25, 'functions."H(x)"'),
        (26, 'functions."I(x)"'),
        (27, 'functions."J(x, y)"'),
        (28, 'functions."K(x)"'),
        (29, 'functions."L()"'),
        (30, 'functions."M(a...)"'),
        (33, "types.MONEY"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('name = "x"\nbase = "duckbd"', 2, "base: 'duckbd' is not a dialect that sqlglot has"),
        ('base = "duckdb"', 0, "name: is required"),
        ('name = "x"\n[quoting]\nstrings = "\'"\nidentifiers = ["\'", "\'"]', 3, "quotes both strings and identifiers"),
        ('name = "x"\n[quoting]\nidentifiers = ["[["]', 3, "quoting.identifiers"),
        ('name = "x"\n[quoting]\nsymbol = "a"', 3, "quoting.symbol: no such key"),
        ('name = "x"\n[pagination]\nstyle = "first"', 3, "pagination.style"),
        ('name = "x"\n[keyword]\nVIA = "USING"', 2, "keyword: no such key"),
        ('name = "x"\n[keywords]\nVIA = 5', 3, "keywords.VIA"),
        ('name = "x"\n[keywords]\nSELECT = "USING"', 3, "already has a meaning in duckdb"),
        ('name = "x"\n[keywords]\nVIA = "USING"\nvia = "NULL"', 4, "already stands for something else in keywords.VIA"),
        ('name = "x"\n[keywords]\nF = "USING"\n[functions]\n"F(x)" = "SUM(x)"', 3, "would hide the function F(x)"),
        ('name = "x"\n[functions]\n"F(a)" = "a + b"', 3, "uses b, which F(a) has no parameter for"),
        ('name = "x"\n[functions]\n"F(a, b...)" = "COALESCE(a, b...)"\n"F(a, b, c)" = "a + b + c"', 4, "takes as many arguments"),
        ('name = "x"\n[functions]\n"F(a)" = "SELEC a FRM"', 3, "does not parse"),
        ('name = "x"\n[types]\nDAY = "DATE"\nday = "TIME"', 4, "DAY is the same name"),
        ('name = "x"\n[types]\n"MY DAY" = "DATE"', 3, "is not one word"),
        ('name = "x"\nsyntax = "pipes"', 2, "syntax"),
        ('name = "x"\nsyntax = "pipe"\n[pagination]\nstyle = "top"', 4, "pipes have |> LIMIT n"),
        ('name = "x"\n[quoting]\ncase = "title"', 3, "quoting.case"),
        ('name = "x"\nbase = "snowflake"\n[quoting]\ncase = "upper"', 4, "names in snowflake are in capitals as it is"),
        ('name = "x"\n[pagination]\nstyle = "fetch"\noffset = "SKIP"', 4, "the rows to skip are written OFFSET n ROWS"),
        ('name = "x"\n[pagination]\nstyle = "rownum"\nlimit = "TAKE"', 4, "style rownum has no word for it"),
        ('name = "x"\n[pagination]\nstyle = "top"\nlimit = "WHERE"', 4, "already has a meaning in duckdb"),
        ('name = "x"\n[literals]\ndate = "DATE"', 3, "has not one string with %Y and the like in it"),
        ('name = "x"\n[literals]\ndate = "\'%Y-%m-%d\'"', 3, "any string would be one"),
        ('name = "x"\n[literals]\ndate = "D \'%Y-%m\'"', 3, "leaves out %d of a date"),
        ('name = "x"\n[literals]\ndate = "D \'%Y-%m-%d %H\'"', 3, "%H is no part of a date"),
        ('name = "x"\n[literals]\ndate = "D \'%y-%m-%d\'"', 3, "%y is not one of"),
        ('name = "x"\nbase = "mysql"\n[literals]\ndate = "#%Y-%m-%d#"', 3, "# begins a comment in mysql"),
        ('name = "x"\n[literals]\ninterval = "labelled"\n[keywords]\nDAY = "NULL"', 5, "DAY would be a unit of 5 DAY"),
        ('name = "x"\n[literals]\ninterval = "long"', 3, "literals.interval"),
        ('name = "x"\n[ordering]\nnulls = "first"', 3, "ordering.nulls"),
        ('name = "x"\n[casts]\nstyle = "arrow"', 3, "casts.style"),
        ('name = "x"\n[set_operators]\nexcept = "MINUS"\n[keywords]\nMINUS = "NULL"', 3, "already stands for something else in keywords.MINUS"),
        ('name = "x"\n[set_operators]\nunion_all = "FROM"', 3, "already has a meaning in duckdb"),
        ('name = "x"\nbase = "postgres"\n[booleans]\ntrue = "1"\nfalse = "0"', 3, "postgres cannot compare a boolean column with 1"),
        ('name = "x"\n[booleans]\ntrue = "1"', 2, "is given for neither or both"),
        ('name = "x"\n[booleans]\ntrue = "1"\nfalse = "1"', 4, "is the same as true"),
        ('name = "x"\n[booleans]\ntrue = "1"\nfalse = "NO"\n', 4, "for a word use [keywords]"),
        ('name = "x"\n[macros]\n"@a(x)" = "x"', 3, "a macro takes no arguments"),
        ('name = "x"\n[macros]\n"@a" = "SELEC FROM"', 3, "does not parse"),
        ('name = "x"\n[macros]\n"@a" = "1"\n"@ A" = "2"', 4, "@a is the same macro"),
        ('name = "x"\n[macros]\nWHERE = "1"', 3, "WHERE already has a meaning"),
        ('name = "x"\n[macros]\n"\'a\'" = "1"', 3, "is not made of words and symbols"),
        ('name = "x"\n[forbidden]\nnatural_joins = ""', 3, "is none of star, distinct"),
        ('name = "x"\n[forbidden]\nVIA = ""\n[keywords]\nVIA = "USING"', 3, "VIA is a word that the dialect has"),
        ('name = "x"\n[forbidden]\nUSING = ""\n[keywords]\nVIA = "USING"', 3, "no word of the dialect as it is"),
        ('name = "x"\n[functions]\n"F(DAY, d)" = "YEAR(d)"\n"F(DAY, e)" = "MONTH(e)"', 4, "takes as many arguments"),
        ('name = "x"\n[functions]\n"F(a, b)" = "YEAR(a)"', 3, "does not use b"),
    ],
)  # fmt: skip
def test_one_thing_wrong(text: str, line: int, reason: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0][0] == line
    assert reason in found[0][1]


def test_words_may_be_swapped() -> None:
    spec = DialectSpec.from_text('name = "x"\n[keywords]\nUNION = "EXCEPT"\nEXCEPT = "UNION"')
    from sqlora.sql.dialect import Dialect

    dialect = Dialect("x", spec)
    assert dialect.to_base("SELECT 1 UNION SELECT 2") == "SELECT 1 EXCEPT SELECT 2"
    assert dialect.normalize("SELECT 1 UNION SELECT 2") == "SELECT 1 UNION SELECT 2"


def test_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_text('name = "x"\nbase = duckdb\n')
    with pytest.raises(DialectError, match="is not TOML") as refused:
        DialectSpec.from_toml(path)
    assert refused.value.line == 2
    assert refused.value.next_step == f"Correct line 2 of {path}."


def test_not_readable(tmp_path: Path) -> None:
    with pytest.raises(DialectError, match="cannot be read"):
        DialectSpec.from_toml(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "\xe9"')
    with pytest.raises(DialectError, match="not UTF-8"):
        DialectSpec.from_toml(path)


@pytest.mark.parametrize("base", ["duckdb", "bigquery", "clickhouse"])
def test_one_set_operator_may_be_renamed_and_the_other_not(base: str) -> None:
    from sqlora.sql.dialect import Dialect

    spec = DialectSpec.from_text(f'name = "x"\nbase = "{base}"\n[set_operators]\nunion_all = "STACKED ON"')
    dialect = Dialect("x", spec)
    assert dialect.to_base("SELECT 1 STACKED ON SELECT 2") == "SELECT 1 UNION ALL SELECT 2"
    assert dialect.normalize("SELECT 1 STACKED ON SELECT 2") == "SELECT 1 STACKED ON SELECT 2"
