"""Source ``wikisql``: questions on one table each, in WikiSQL's own format (Zhong et al., 2017).

    train.jsonl         {"table_id": "1-1000181-1", "question": …, "sql": {"sel": 5, "agg": 0, "conds": [[3, 0, "x"]]}}
    train.tables.jsonl  {"id": "1-1000181-1", "header": ["State/territory", …], "types": ["text", "real", …], …}

A query is written out as SQL. Headers become names (`state_territory`), which nobody has to quote; there are no
rows to run a query on.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from sqlora.errors import DatasetError
from sqlora.prepare.examples import Candidate, Example, Split
from sqlora.prepare.sources.candidates import Found, read_candidates
from sqlora.prepare.sources.collection import quoted
from sqlora.prepare.sources.files import Row, RowError, read_rows
from sqlora.prepare.sources.files.row import printable

SHAPE = 'each question is {"table_id": …, "question": …, "sql": {"sel": 5, "agg": 0, "conds": [[3, 0, "x"]]}}'
TABLE_SHAPE = 'each table is {"id": …, "header": […], "types": […]}'
AGGREGATES = ("", "MAX", "MIN", "COUNT", "SUM", "AVG")
OPERATORS = ("=", ">", "<")  # a fourth, OP, is in no published question


class Table(NamedTuple):
    """One table; ``numbers`` are the columns whose type is real."""

    name: str
    columns: tuple[str, ...]
    numbers: frozenset[int]

    @property
    def ddl(self) -> str:
        """Its CREATE TABLE statement."""
        types = ("REAL" if place in self.numbers else "TEXT" for place in range(len(self.columns)))
        inside = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(self.columns, types, strict=True))
        return f"CREATE TABLE {quoted(self.name)} ({inside})"


def read_wikisql(
    path: Path, name: str, split: Split | None = None, tables: Path | None = None, written_in: str | None = None
) -> Found:
    """The questions of ``path``; ``tables`` is the file of tables, default: ``train.tables.jsonl`` for ``train.jsonl``.

    Of the tables, names and types are kept in memory, about 500 bytes for each; their rows are passed over.
    """
    known: dict[str, Table] = {}

    def question(row: Row) -> Candidate:
        if not known:
            known.update(_read_tables(tables or tables_of(path)))
        text, id = row.text("question"), row.text("table_id")
        table = known.get(id)
        if table is None:
            raise RowError(f"no table {printable(id)!r} among the {len(known)} tables", "set tables in [[sources]]")
        example = Example(text, _sql(row.values.get("sql"), table), name, split, database=id)
        origin = f"{name} {row.place}"
        return Candidate(example, origin, ddl=table.ddl, written_in=written_in or "sqlite", run=False)

    return read_candidates(path, name, read_rows(path), question, SHAPE)


def tables_of(path: Path) -> Path:
    """The file of tables that goes with a file of questions."""
    stem, dot, suffixes = path.name.partition(".")
    return path.with_name(f"{stem}.tables{dot}{suffixes}")


def _read_tables(path: Path) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for row in read_rows(path):
        try:
            if row.problem:
                raise RowError(row.problem)
            header, types = row.values.get("header"), row.values.get("types")
            if not isinstance(header, list) or not isinstance(types, list) or not header:
                raise RowError("has no header and types")
            id = row.text("id")
            numbers = frozenset(place for place, kind in enumerate(types) if kind == "real")
            found[id] = Table(f"table_{_plain(id)}", _names(header), numbers)
        except RowError as error:
            raise DatasetError(f"{row.at(path)}: {error.problem}", TABLE_SHAPE) from None
    if not found:
        raise DatasetError(f"{path}:1: has no tables", TABLE_SHAPE)
    return found


def _names(header: list[Any]) -> tuple[str, ...]:
    """Headers as names, each once: "No.", "No", "" → no, no_2, column_3."""
    names: dict[str, None] = {}
    for place, text in enumerate(header, start=1):
        name = (_plain(text) if isinstance(text, str) else "") or f"column_{place}"
        name = f"c_{name}" if name[0].isdigit() else name
        while name in names:
            name = f"{name}_{place}"
        names[name] = None
    return tuple(names)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def _sql(query: Any, table: Table) -> str:
    """The query of a question; RowError where it is none, or about columns that the table hasn't."""
    try:
        aggregate = AGGREGATES[_index(query["agg"])]
        column = quoted(table.columns[_index(query["sel"])])
        conditions = [_condition(*condition, table=table) for condition in query["conds"]]
    except (LookupError, TypeError) as error:
        raise RowError(f"sql is no query on its table: {type(error).__name__}: {printable(str(error))}") from None
    shown = f"{aggregate}({column})" if aggregate else column
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {shown} FROM {quoted(table.name)}{where}"


def _index(number: Any) -> int:
    if not isinstance(number, int) or number < 0:  # a negative one would count from the end
        raise IndexError("a place is a number from 0")
    return number


def _condition(place: Any, operator: Any, value: Any, *, table: Table) -> str:
    column = quoted(table.columns[_index(place)])
    if not isinstance(value, (str, int, float)):
        raise TypeError("a value is a text or a number")
    literal = _number(value) if place in table.numbers else None
    if literal is None:
        literal = "'" + str(value).replace("'", "''") + "'"
    return f"{column} {OPERATORS[_index(operator)]} {literal}"


def _number(value: Any) -> str | None:
    """The value as a number's literal, None where it is none: "1,234" in a column of numbers is 1234."""
    try:
        number = float(str(value).replace(",", ""))
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return str(int(number)) if number.is_integer() else repr(number)
