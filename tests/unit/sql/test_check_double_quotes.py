"""SQLite's texts in double quotes."""

from __future__ import annotations

import pytest

from sqlora.sql.check import check
from sqlora.sql.dialect import load_dialect
from sqlora.sql.double_quotes import double_quoted_texts
from sqlora.sql.schema import Schema

SCHEMA = Schema.from_ddl("CREATE TABLE city (name TEXT, state TEXT, pop INT)", "sqlite")


@pytest.mark.parametrize(
    ("sql", "settled"),
    [
        ('SELECT name FROM city WHERE state = "new york"', "SELECT name FROM city WHERE state = 'new york'"),
        ('SELECT name FROM city WHERE state = "utah"', "SELECT name FROM city WHERE state = 'utah'"),
        ('SELECT "name" FROM city WHERE state = "it\'s"', "SELECT name FROM city WHERE state = 'it''s'"),
        ('SELECT pop AS "the pop" FROM city ORDER BY "the pop"', 'SELECT pop AS "the pop" FROM city ORDER BY "the pop"'),
        ('SELECT "c d".name FROM city AS "c d"', 'SELECT "c d".name FROM city AS "c d"'),
    ],
)
def test_texts_in_double_quotes_are_settled(sql: str, settled: str) -> None:
    sqlite = load_dialect("sqlite")
    assert sqlite.generate(double_quoted_texts(sql, sqlite, SCHEMA)) == settled
    assert check(settled, sqlite, SCHEMA) == []


def test_the_finding_says_how_texts_are_quoted() -> None:
    [finding] = check('SELECT name FROM city WHERE state = "new york"', load_dialect("sqlite"), SCHEMA)
    assert finding.message.endswith("; text stands in single quotes: 'new york'")
    [finding] = check("SELECT nam FROM city", load_dialect("sqlite"), SCHEMA)
    assert "quotes" not in finding.message
