"""What holds on every database server alike."""

from __future__ import annotations

import pytest

from sqlora.errors import QueryLimitError
from sqlora.sql.execute import Database, Limits
from sqlora.sql.schema import Schema
from sqlora.sql.schema.samples import with_samples


def gives_rows(database: Database) -> None:
    """What looks like a parameter is text, and rows are cut where the limit says."""
    result = database.run(
        "SELECT city_id, ':x %s %(a)s' AS t FROM city WHERE city_name LIKE '%y%' ORDER BY city_id", Limits(rows=2)
    )
    assert (result.columns, result.rows, result.truncated) == (
        ("city_id", "t"),
        [(1, ":x %s %(a)s"), (2, ":x %s %(a)s")],
        True,
    )
    assert database.count("city") == 30


def gives_samples(schema: Schema, database: Database) -> None:
    """Of text that is nobody's own, the most frequent first."""
    city = with_samples(schema, database, 2).table("city")
    assert [column.samples for column in city.columns] == [(), (), ("city 1", "city 10"), ("village", "town"), ()]


def ends(sql: str, database: Database) -> None:
    """A query that would take a minute, or for ever, is stopped, and the next one runs."""
    with pytest.raises(QueryLimitError, match=r"0\.3 seconds"):
        database.run(sql, Limits(seconds=0.3, rows=10**9, memory_mb=10**4))
    assert database.run("SELECT 1").rows == [(1,)]
