"""The grammar: over any schema, deterministic, streaming, and never a query that doesn't run."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import duckdb
import pytest

from sqlora.errors import ConfigError
from sqlora.prepare.check import Checker
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.sources.synthesize import synthesize
from sqlora.prepare.sources.synthesize.frames import finish
from sqlora.prepare.sources.synthesize.glossary import load_glossary
from sqlora.prepare.sources.synthesize.graph import Graph
from sqlora.prepare.sources.synthesize.lexicon import Lexicon, build_lexicon, is_plural
from sqlora.prepare.sources.synthesize.periods import draw_period, draw_years
from sqlora.prepare.sources.synthesize.query import Select, column
from sqlora.prepare.sources.synthesize.shapes import SHAPES
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.execute import Database, open_database
from sqlora.sql.schema import Schema


def _draw(schema: Schema, database: Database, dialect: Dialect, glossary: Path | None, seed: int, count: int) -> list[Candidate]:
    return list(islice(synthesize(schema, database, dialect, glossary, seed), count))


@pytest.fixture(scope="module")
def lexicon(schema: Schema, database: Database, dialect: Dialect, shop: Path) -> Lexicon:
    return build_lexicon(schema, database, dialect, load_glossary(shop / "glossary.toml", schema))


@pytest.fixture(scope="module")
def drawn(schema: Schema, database: Database, dialect: Dialect, shop: Path) -> list[Candidate]:
    return _draw(schema, database, dialect, shop / "glossary.toml", 7, 700)


def test_the_first_of_many_are_the_same_as_few(
    schema: Schema, database: Database, dialect: Dialect, shop: Path, drawn: list[Candidate]
) -> None:
    assert _draw(schema, database, dialect, shop / "glossary.toml", 7, 40) == drawn[:40]
    other = _draw(schema, database, dialect, shop / "glossary.toml", 8, 40)
    assert not {c.example.question for c in other} >= {c.example.question for c in drawn[:40]}


def test_what_is_drawn_passes_the_check(
    drawn: list[Candidate], schema: Schema, database: Database, dialect: Dialect
) -> None:
    checker = Checker(dialect, schema, database)
    results = [checker.check(candidate) for candidate in drawn]
    faults = [str(result) for result in results if isinstance(result, Rejection) and result.reason != "no rows"]
    assert faults == []
    assert sum(isinstance(result, Example) for result in results) > 0.75 * len(drawn)
    assert all(dialect.normalize(candidate.example.sql) == candidate.example.sql for candidate in drawn[:150])


def test_every_table_join_and_feature_is_asked_for(drawn: list[Candidate], schema: Schema) -> None:
    queries = "\n".join(candidate.example.sql for candidate in drawn)
    for table in schema.tables:
        assert f"[{table.name}]" in queries or f" {table.name}" in queries
    for text in ("VIA (customer_id)", "VIA (order_id)", "VIA (product_id)", "GROUP BY", "HAVING", "TAKE", "SKIP", "NOT EXISTS", "CASE WHEN",
                 "IS MISSING", "LIKE", "BETWEEN", " IN (", "COUNT(DISTINCT", "SELECT DISTINCT", "TOTAL(", "RATIO(", "ADD_DAYS(BUSINESS_DATE()",
                 "FISCAL_YEAR(", "FISCAL_QUARTER(", "YEAR_OF(", "> (SELECT AVG(", "COALESCE"):  # fmt: skip
        assert text in queries, text


def test_questions_are_spread_over_shapes_and_wordings(drawn: list[Candidate]) -> None:
    questions = [candidate.example.question for candidate in drawn]
    assert len(set(questions)) > 0.93 * len(questions)
    openings = Counter(" ".join(question.lower().split()[:2]) for question in questions)
    assert len(openings) > 150
    assert openings.most_common(1)[0][1] < 0.12 * len(questions)
    assert all(question == question.strip() and "  " not in question and "{" not in question for question in questions)


def test_ids_are_not_shown(drawn: list[Candidate]) -> None:
    for candidate in drawn:
        shown = candidate.example.sql.split(" FROM ")[0]
        plain = re.sub(r"COUNT\(DISTINCT customer_id\)|CASE WHEN customer_id IS (NOT )?MISSING", "", shown)
        assert "customer_id" not in plain, candidate.example


def test_joins_follow_the_house_style(lexicon: Lexicon, dialect: Dialect) -> None:
    query = Select(
        "order_line",
        (column("customer", "city"), column("order", "order_id")),
        where=(column("product", "group").is_("food"),),
    )
    tree = query.build(lexicon.graph)
    assert tree is not None
    assert dialect.generate(tree) == (
        "SELECT city, order_id FROM order_line JOIN [order] VIA (order_id) JOIN customer VIA (customer_id) "
        'JOIN product VIA (product_id) WHERE [group] IS "food"'
    )


def test_a_table_reached_in_two_ways_of_one_length_is_not_guessed() -> None:
    schema = Schema.from_ddl(
        "CREATE TABLE a (a_id INTEGER PRIMARY KEY); CREATE TABLE b (b_id INTEGER PRIMARY KEY, home INTEGER REFERENCES a (a_id), "
        "away INTEGER REFERENCES a (a_id)); CREATE TABLE c (c_id INTEGER, b_id INTEGER REFERENCES b (b_id));"
    )
    graph = Graph(schema)
    assert graph.reach("c") == ["c", "b"]
    assert graph.join("c", ["a"]) is None
    assert [edge.target for edge in graph.join("c", ["b"]) or []] == ["b"]


def test_keys_that_name_nothing_are_no_way() -> None:
    schema = Schema.from_ddl(
        "CREATE TABLE a (a_id INTEGER PRIMARY KEY, x INTEGER); CREATE TABLE b (a_id INTEGER REFERENCES A (a_id), "
        "x INTEGER, FOREIGN KEY (a_id, x) REFERENCES a (a_id)); CREATE TABLE c (d INTEGER REFERENCES gone (d))"
    )
    graph = Graph(schema)
    assert [(edge.source, edge.target) for edges in graph.edges.values() for edge in edges] == [("b", "a")]


def test_a_key_of_three_tables_is_not_joined_by_using() -> None:
    schema = Schema.from_ddl(
        "CREATE TABLE store (store_id INTEGER PRIMARY KEY); CREATE TABLE clerk (clerk_id INTEGER PRIMARY KEY, store_id INTEGER "
        "REFERENCES store (store_id)); CREATE TABLE sale (store_id INTEGER REFERENCES store (store_id), clerk_id INTEGER "
        "REFERENCES clerk (clerk_id));"
    )
    graph = Graph(schema)
    assert graph.join("sale", ["clerk"]) is not None
    joined = graph.join("sale", ["store", "clerk"])
    assert joined is None or [edge.target for edge in joined] == ["store", "clerk"]


def test_every_period_is_a_condition_the_database_takes(lexicon: Lexicon, database: Database) -> None:
    date = lexicon.date_of("order_line")
    assert date is not None
    assert (date.table, date.name) == ("order", "order_date")
    seen = set()
    for seed in range(250):
        random = Random(seed)
        one, (two, three) = draw_period(lexicon, date, random), draw_years(lexicon, date, random)
        for period in (one, two, three):
            query = Select("order_line", (column("order", "order_date"),), (period.condition,)).build(lexicon.graph)
            assert query is not None
            database.run(query.sql("duckdb"))
            seen.add(period.phrase.split()[0])
    assert {"in", "since", "before", "last", "on", "between", "this"} <= seen


def test_typing_never_changes_names_or_numbers() -> None:
    for seed in range(300):
        typed = finish("show me total sales of Windmere Sheet in FY2026 over 1500", Random(seed))
        assert "windmere sheet" in typed.lower()
        assert "2026" in typed
        assert "1500" in typed


@pytest.mark.parametrize(
    ("phrase", "plural"),
    [("orders", True), ("average order value", False), ("units sold", True), ("new stores in Glasgow by format", True),
     ("number of orders", False), ("total sales", True), ("turnover", False), ("last month's margin", False)],
)  # fmt: skip
def test_grammatical_number(phrase: str, plural: bool) -> None:
    assert is_plural(phrase) is plural


def test_the_shapes_weights_favour_ordinary_questions() -> None:
    weights = {shape.__name__: weight for shape, weight in SHAPES}
    ordinary = sum(weights[name] for name in ("scalar", "breakdown", "top", "the_one", "listing", "count"))
    assert ordinary > 0.4 * sum(weights.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tables.shop]\nnames = ['x']", "no table 'shop'"),
        ("[columns.\"customer.town\"]\nnames = ['x']", "no column 'town' in customer; it has customer_id"),
        ("[tables.customer]\nnmaes = ['x']", "tables.customer.nmaes = \"['x']\": unknown key"),
        ("[tables.customer\n", "is not TOML"),
        ('[[measures]]\ntable = "order_line"\nsql = "TOTAL(price) +"\nnames = ["x"]', "the glossary's 'TOTAL(price) +'"),
        ('[[measures]]\ntable = "order_line"\nsql = "TOTAL(tax)"\nnames = ["x"]', "has a column 'tax'"),
    ],
)
def test_a_wrong_glossary_is_explained(
    schema: Schema, database: Database, dialect: Dialect, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "glossary.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        build_lexicon(schema, database, dialect, load_glossary(path, schema))
    assert says in caught.value.message


def test_without_a_glossary_and_in_plain_duckdb(schema: Schema, database: Database) -> None:
    dialect = load_dialect("duckdb")
    checker = Checker(dialect, schema, database)
    results = [checker.check(candidate) for candidate in _draw(schema, database, dialect, None, 1, 250)]
    faults = [str(result) for result in results if isinstance(result, Rejection) and result.reason != "no rows"]
    assert faults == []
    assert sum(isinstance(result, Example) for result in results) > 150


def test_over_sqlite(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "x.sqlite") as connection:
        connection.executescript(
            "CREATE TABLE author (author_id INTEGER PRIMARY KEY, name TEXT, country TEXT, born DATE);"
            "CREATE TABLE book (book_id INTEGER PRIMARY KEY, title TEXT, author_id INTEGER REFERENCES author (author_id),"
            " published DATE, price REAL, language TEXT);"
            "CREATE TABLE sale (sale_id INTEGER PRIMARY KEY, book_id INTEGER REFERENCES book (book_id), sold_on DATE, copies INTEGER);"
        )
        for i in range(30):
            connection.execute("INSERT INTO author VALUES (?, ?, ?, ?)", (i, f"Author {i}", ["UK", "Chile"][i % 2], f"19{50 + i}-02-03"))
            connection.execute("INSERT INTO book VALUES (?, ?, ?, ?, ?, ?)",
                               (i, f"Tale {i}", i % 9, f"20{10 + i % 9}-05-06", 5.5 + i, ["en", "es", "fr"][i % 3]))  # fmt: skip
            connection.execute("INSERT INTO sale VALUES (?, ?, ?, ?)", (i, i % 11, f"2024-0{1 + i % 9}-11", i))
    connection.close()
    dialect = load_dialect("sqlite")
    with open_database("sqlite:///x.sqlite", tmp_path) as database:
        schema = database.schema()
        checker = Checker(dialect, schema, database)
        results = [checker.check(candidate) for candidate in _draw(schema, database, dialect, None, 1, 250)]
    faults = Counter(str(result) for result in results if isinstance(result, Rejection) and result.reason != "no rows")
    assert not faults
    assert sum(isinstance(result, Example) for result in results) > 150


def test_a_schema_of_one_table_without_keys_and_an_empty_one(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE reading (sensor VARCHAR, taken TIMESTAMP, celsius DOUBLE)")
        connection.execute("INSERT INTO reading SELECT 'S' || i % 5, TIMESTAMP '2024-01-01' + INTERVAL (i) DAY, i * 0.37 FROM range(90) t(i)")
        connection.execute("CREATE TABLE nothing (a INTEGER)")
    dialect = load_dialect("duckdb")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        found = _draw(database.schema(), database, dialect, None, 0, 60)
    assert len(found) == 60
    assert any("sensor" in candidate.example.sql for candidate in found)
    with duckdb.connect(str(tmp_path / "y.duckdb")) as connection:
        connection.execute("CREATE TABLE nothing (a INTEGER)")
    with open_database("duckdb:///y.duckdb", tmp_path) as database:
        assert len(_draw(database.schema(), database, dialect, None, 0, 5)) <= 5


@pytest.mark.parametrize("name", ["postgres", "snowflake", "over snowflake"])
def test_names_have_the_quotes_that_their_case_needs(tmp_path: Path, name: str) -> None:
    if name == "over snowflake":
        (tmp_path / "house.toml").write_text('name = "house"\nbase = "snowflake"\n[pagination]\nlimit = "TAKE"\n')
    dialect = load_dialect("house.toml" if name == "over snowflake" else name, tmp_path)
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute('CREATE TABLE "Customer" (id INTEGER PRIMARY KEY, "fullName" VARCHAR, "City" VARCHAR)')
        connection.execute("INSERT INTO \"Customer\" SELECT i, 'N' || i, 'C' || i % 3 FROM range(20) t(i)")
        connection.execute('CREATE TABLE visit (id INTEGER PRIMARY KEY, "customerId" INTEGER REFERENCES "Customer" (id), paid INTEGER)')
        connection.execute("INSERT INTO visit SELECT i, i % 20, i * 3 FROM range(90) t(i)")
    with open_database("duckdb:///x.duckdb", tmp_path) as database:
        schema = database.schema()
        shown = set(re.findall(r'"\w+"|\w+', schema.to_prompt(dialect=dialect)))
        drawn = _draw(schema, database, dialect, None, 3, 150)
        checker = Checker(dialect, schema, database)
        results = [checker.check(candidate) for candidate in drawn]
    assert {'"Customer"', '"fullName"', '"customerId"'} <= shown
    names = {text.strip('"').lower() for text in shown}
    for candidate in drawn:
        sql = re.sub(r"'[^']*'", "", candidate.example.sql)
        assert {text for text in re.findall(r'"\w+"|\w+', sql) if text.strip('"').lower() in names} <= shown, candidate.example.sql
        assert dialect.normalize(candidate.example.sql) == candidate.example.sql
    assert [str(result) for result in results if isinstance(result, Rejection) and result.reason != "no rows"] == []
    assert any("HAVING" in candidate.example.sql for candidate in drawn)  # where to draw a line was found
