"""Logs that are tables with named columns: pg_stat_statements, QUERY_HISTORY, jsonlog, and others that have a query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlora.prepare.sources.files import Row
from sqlora.prepare.sources.query_log.postgres_log import statement
from sqlora.prepare.sources.query_log.seen import Seen, Unusable, moment

# Names of columns in lower case, the likeliest first.
QUERY = ("query", "query_text", "sql_text", "sql", "statement")
CALLS = ("calls", "executions", "execution_count", "count")
TIME = ("start_time", "end_time", "creation_time", "timestamp", "time", "stats_since")
DATABASE = ("database_name", "datname", "dbname", "database")
STATUS = ("execution_status",)  # QUERY_HISTORY: SUCCESS, FAIL, INCIDENT
HIDDEN = ("<insufficient privilege>", "<redacted>")

FAILED = "a statement that failed when it was run"
NUMBER = "write calls as 1234"
MOMENT = "write times as 2026-01-31T18:00:00"
EXPECTED = (
    "export pg_stat_statements (query, calls), QUERY_HISTORY (QUERY_TEXT, START_TIME), a csvlog of PostgreSQL, or .sql"
)


def read_table(rows: Iterable[Row]) -> Iterator[Seen | Unusable]:
    """The statements of a table's rows."""
    for row in rows:
        yield from _read(row)


def is_table(names: Iterable[str]) -> bool:
    """Whether a table with these columns has queries."""
    return not {name.strip().lower() for name in names}.isdisjoint(QUERY)


def _read(row: Row) -> Iterator[Seen | Unusable]:
    if row.problem:
        yield Unusable("malformed", row.problem, row.place)
        return
    values = {str(name).strip().lower(): value for name, value in row.values.items()}
    if "error_severity" in values and "message" in values:  # jsonlog
        if values["error_severity"] == "LOG" and (
            seen := statement(
                _text(values.get("message")), _text(values.get("detail")), row.place,
                _text(values.get("timestamp")), _text(values.get("dbname")),
            )
        ):  # fmt: skip
            yield seen
        return
    sql = next((values[name] for name in QUERY if isinstance(values.get(name), str)), "").strip()
    if not sql:
        yield Unusable("malformed", "has no query", row.place, EXPECTED)
    elif sql.lower() in HIDDEN:
        yield Unusable("malformed", "its text is hidden", row.place, "export it as a role that may read all statements")
    elif (status := _text(_first(values, STATUS)).upper()) and not status.startswith("SUCCESS"):
        yield Unusable("refused", FAILED, row.place)
    else:
        calls, time, database = (_first(values, names) for names in (CALLS, TIME, DATABASE))
        runs, ran = _calls(calls), moment(_text(time))
        yield Seen(sql, row.place, runs or 1, ran, _text(database))
        # The query is good all the same. What stands there is not shown: in a shifted row it may be anything.
        if runs is None:
            yield Unusable("malformed", "how often it ran is not a number; counted once", row.place, NUMBER)
        if time is not None and not ran:
            yield Unusable("malformed", "when it ran is not a time; used without one", row.place, MOMENT)


def _first(values: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _text(value: object) -> str:
    return value[:100] if isinstance(value, str) and len(value) > 100_000 else str(value) if value is not None else ""


def _calls(value: object) -> int | None:
    """A count as it stands in an export (12, "12", 12.0, "1,234"), 1 where there is none; None for what is no count."""
    if value is None:
        return 1
    try:
        calls = int(float(str(value).replace(",", "").strip()))
    except (ValueError, OverflowError):
        return None
    return min(max(calls, 1), 10**15)
