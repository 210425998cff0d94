"""The databases of Spider, BIRD and sets made like them: SQLite files in folders, and a file that lists the schemas.

database/concert_singer/concert_singer.sqlite
tables.json    [{"db_id": "concert_singer", "table_names_original": […], "column_names_original": [[0, "Name"], …],
                 "column_types": […], "primary_keys": [1, [2, 3]], "foreign_keys": [[4, 1]], …}, …]
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlora.errors import DatasetError
from sqlora.prepare.sources.files import Row, RowError, read_rows
from sqlora.prepare.sources.files.row import printable

SUFFIXES = (".sqlite", ".db")
LONGEST_NAME = 100  # characters of a database's name
TYPES = {"number": "NUMERIC", "time": "DATETIME", "boolean": "BOOLEAN"}  # every other: TEXT
NOT_ONE = 'each database is {"db_id", "table_names_original", "column_names_original", "column_types", …}'


def lay_out(path: Path, databases: Path | None, tables: Path | None) -> tuple[Path | None, Path | None]:
    """Folder of databases and file of schemas for the questions in ``path``: those given, else those beside it."""
    return (
        databases or beside(path, "database", "databases"),
        tables or beside(path, "tables.json", "tables.json.gz"),
    )


class Collection:
    """Finds a database's file by its name, and where there is none its CREATE TABLE statements.

    ``folder`` is where the databases are, ``tables`` the file that lists their schemas; either may be None.
    """

    def __init__(self, folder: Path | None, tables: Path | None) -> None:
        self.folder = folder
        self.tables = tables
        self._urls: dict[str, str | None] = {}

    def url(self, name: str) -> str | None:
        """``sqlite:///…`` of the database, None where there is no file with tables in it.

        RowError for a name that is none: it would lead out of the folder.
        """
        if name in (".", "..") or len(name) > LONGEST_NAME or set("/\\\0") & set(name):
            raise RowError(f"db_id is {printable(name)!r}", "it is the name of the database's folder")
        if name not in self._urls:
            self._urls[name] = self._find(name)
        return self._urls[name]

    def ddl(self, name: str) -> str:
        """The database's schema as CREATE TABLE statements; RowError where the list has none of that name."""
        found = self._listed.get(name.lower())
        if found is None:
            where = f"neither in {self.folder} nor in {self.tables}" if self.tables else f"in {self.folder}"
            raise RowError(f"no database {name!r} {where}", "set databases and tables in [[sources]]")
        return found

    def _find(self, name: str) -> str | None:
        for suffix in SUFFIXES if self.folder else ():
            path = (self.folder or Path()) / name / f"{name}{suffix}"
            if path.is_file() and _has_tables(path):
                return f"sqlite:///{quote(str(path.absolute()))}"
        return None

    @cached_property
    def _listed(self) -> dict[str, str]:
        """All schemas: statements take a tenth of the space of what lists them."""
        if self.tables is None:
            return {}
        found: dict[str, str] = {}
        for row in read_rows(self.tables):
            try:
                if row.problem:
                    raise RowError(row.problem)
                found[row.text("db_id").lower()] = _ddl(row)
            except RowError as error:
                raise DatasetError(f"{row.at(self.tables)}: {error.problem}", error.suggestion or NOT_ONE) from None
        return found


def beside(path: Path, *names: str) -> Path | None:
    """The first file or folder of these names in the folder of ``path``.

    Those of its own part of the set go first: with test.json, ``test_tables.json`` before ``tables.json``.
    """
    prefixes = [*(f"{part}_" for part in ("train", "dev", "test") if part in path.name), ""]
    found = (path.parent / f"{prefix}{name}" for prefix in prefixes for name in names)
    return next((each for each in found if each.exists()), None)


def _has_tables(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            count = connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    except sqlite3.Error:
        return False
    return bool(count)


def _ddl(row: Row) -> str:
    try:
        return create_tables(row.values)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise RowError(f"is no schema: {type(error).__name__}: {printable(str(error))}") from None


def create_tables(listed: dict[str, Any]) -> str:
    """CREATE TABLE statements, in SQLite's dialect, of one database as Spider's tables.json lists it.

    Raises LookupError, TypeError, ValueError or ArithmeticError for what is no such list.
    """
    tables = list(listed["table_names_original"])
    columns = [(int(place), name) for place, name in listed["column_names_original"]]
    types = listed["column_types"]
    parts: list[list[str]] = [[] for _ in tables]
    for (table, name), kind in zip(columns, types, strict=True):
        if table >= 0:  # the first is *, which is of no table
            parts[table].append(f"{quoted(name)} {TYPES.get(kind, 'TEXT')}")
    for key in listed.get("primary_keys") or ():
        places = key if isinstance(key, list) else [key]
        names = ", ".join(quoted(columns[place][1]) for place in places)
        parts[columns[places[0]][0]].append(f"PRIMARY KEY ({names})")
    for source, target in listed.get("foreign_keys") or ():
        (table, name), (other, other_name) = columns[source], columns[target]
        reference = f"{quoted(tables[other])} ({quoted(other_name)})"
        parts[table].append(f"FOREIGN KEY ({quoted(name)}) REFERENCES {reference}")
    filled = [(name, inside) for name, inside in zip(tables, parts, strict=True) if inside]
    statements = [f"CREATE TABLE {quoted(name)} ({', '.join(inside)})" for name, inside in filled]
    if not statements:
        raise ValueError("it has no tables")
    return ";\n".join(statements)


def quoted(name: str) -> str:
    """The name in standard SQL's quotes; TypeError where it is no text."""
    if not isinstance(name, str):
        raise TypeError("a name is not a text")
    return '"' + name.replace('"', '""') + '"'
