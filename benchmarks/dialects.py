"""How much of real SQL each dialect can carry: Spider's training queries, written in it and read back.

    python benchmarks/dialects.py --data ../shared/data/spider-train --page docs/reference/dialects.md

Every distinct query that runs on its SQLite database is written in the dialect. Then:

    round trip   the dialect's text goes through DuckDB's SQL and comes back (`sqlora dialect check`)
    same rows    the dialect's text, read again and executed, gives the rows of the original, in order where it has one:
                 on the original SQLite database, and on a copy of it in DuckDB

The first says what a dialect keeps of a query; the second also what SQLite forgives and DuckDB does not (columns that
are not grouped by, texts compared with numbers) and which of several rows comes first. The rest is counted by reason.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import multiprocessing
import re
import sqlite3
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError, SqloraError
from sqlora.sql.compare import compare, is_ordered
from sqlora.sql.dialect import Dialect, load_dialect
from sqlora.sql.dialect.shipped import shipped_dialects
from sqlora.sql.double_quotes import double_quoted_texts
from sqlora.sql.execute import Limits, ResultSet, open_database
from sqlora.sql.execute.database import Database
from sqlora.sql.roundtrip import RoundTrip, Trip
from sqlora.sql.translate import only, translate, write

# The ten that most of sqlglot's issues and most warehouses are about.
POPULAR = (
    "snowflake", "bigquery", "databricks", "redshift", "postgres", "mysql", "tsql", "oracle", "trino", "clickhouse",
)  # fmt: skip
LIMITS = Limits(seconds=5, rows=2_000)
MARK = "<!-- made by benchmarks/dialects.py -->"


@dataclass(frozen=True)
class Query:
    """One of Spider's queries and its database."""

    database: str
    sql: str


@dataclass(frozen=True)
class Verdict:
    """What became of one query in one dialect; the reasons are empty where it went well."""

    dialect: str
    trip: str = ""
    rows: str = ""
    duckdb_rows: str = ""
    form: str = "same"
    example: str = ""


def read(folder: Path, every: int) -> tuple[list[Query], Counter[str]]:
    """Distinct queries of the databases that are there, every so many of them; what was left out, by reason."""
    with gzip.open(folder / "train_spider.json.gz", "rt", encoding="utf-8") as file:
        rows = json.load(file)
    left_out: Counter[str] = Counter()
    found: dict[Query, None] = {}
    for row in rows:
        if not database(folder, row["db_id"]).is_file():
            left_out["no database"] += 1
            continue
        query = Query(row["db_id"], row["query"].strip().rstrip(";").strip())
        left_out["asked before"] += query in found
        found[query] = None
    return list(found)[::every], left_out


def database(folder: Path, name: str) -> Path:
    return folder / "database" / name / f"{name}.sqlite"


def examine(job: tuple[Path, str, list[str], list[str]]) -> tuple[Counter[str], list[Verdict]]:
    """All queries of one database, in every dialect; those that cannot be used, by reason."""
    folder, name, queries, names = job
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    sqlite = load_dialect("sqlite")
    dialects = [load(each) for each in names]
    trips = {dialect.name: RoundTrip(dialect, "duckdb") for dialect in dialects}
    left_out: Counter[str] = Counter()
    verdicts: list[Verdict] = []
    original = database(folder, name).resolve()
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_database(f"sqlite:///{original}") as opened,
        open_database(str(copy(original, Path(scratch) / "copy.duckdb"))) as copied,
    ):
        schema = opened.schema()
        targets = (Target(sqlite, opened, {}), Target(load_dialect("duckdb"), copied, {}))
        for sql in queries:
            try:
                tree = double_quoted_texts(sql, sqlite, schema)
                expected = opened.run(sql, LIMITS)
            except (SqloraError, SqlglotError) as error:
                left_out["not SQL to sqlglot" if isinstance(error, DialectError) else "does not run"] += 1
                continue
            verdicts += [judge(tree, expected, each, trips[each.name], targets) for each in dialects]
            for target in targets:
                target.results.clear()
    return left_out, verdicts


def load(name: str) -> Dialect:
    path = Path(name)
    return load_dialect(path.name, path.parent) if name.endswith(".toml") else load_dialect(name)


def copy(original: Path, place: Path) -> Path:
    """The SQLite database in DuckDB; a column has the type of all its values, which SQLite leaves open."""
    with sqlite3.connect(original) as source, duckdb.connect(str(place)) as target:
        source.text_factory = lambda data: data.decode("utf-8", "replace")
        tables = source.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        for (table,) in tables.fetchall():
            name = table.replace('"', '""')
            cursor = source.execute(f'SELECT * FROM "{name}"')
            names = [item[0] for item in cursor.description]
            values = cursor.fetchall()
            types = [kind({type(row[index]) for row in values} - {type(None)}) for index in range(len(names))]
            columns = ", ".join(f'"{c.replace(chr(34), chr(34) * 2)}" {t}' for c, t in zip(names, types, strict=True))
            target.execute(f'CREATE TABLE "{name}" ({columns})')
            if values:
                frame = [[None if v is None else cast(v, t) for v, t in zip(row, types, strict=True)] for row in values]
                insert(target, name, frame)
    return place


def kind(types: set[type]) -> str:
    if types <= {int}:
        return "BIGINT" if types else "VARCHAR"
    return "DOUBLE" if types <= {int, float} else "VARCHAR"


def cast(value: Any, kind: str) -> Any:
    return str(value) if kind == "VARCHAR" else value


def insert(target: duckdb.DuckDBPyConnection, name: str, frame: list[list[Any]]) -> None:
    """Row by row takes a minute for a table of 100,000; columns as parameters do not."""
    marks = ", ".join(f"unnest(${index + 1})" for index in range(len(frame[0])))
    for start in range(0, len(frame), 20_000):
        columns = [list(column) for column in zip(*frame[start : start + 20_000], strict=True)]
        target.execute(f'INSERT INTO "{name}" SELECT {marks}', columns)


@dataclass
class Target:
    """Where queries are executed, and what was executed already: most dialects lead to the same text."""

    dialect: Dialect
    database: Database
    results: dict[str, ResultSet | str]


def judge(
    tree: exp.Query, expected: ResultSet, dialect: Dialect, trip: RoundTrip, targets: tuple[Target, Target]
) -> Verdict:
    try:
        text, unsupported = translate(tree, targets[0].dialect, dialect)
        why = unsupported[0][1] if unsupported else ""
    except DialectError as error:
        text, why = tree.sql(), error.message
    if why:
        why = reason("cannot be written", why)
        return Verdict(dialect.name, why, why, why, "", text)
    gone = trip.trip(text)
    lost = reason(gone.losses[0].kind, gone.losses[0].message) if gone.losses else ""
    there = [rows(gone, expected, tree, target) for target in targets]
    return Verdict(dialect.name, lost, *there, gone.outcome, text)


def rows(gone: Trip, expected: ResultSet, tree: exp.Query, target: Target) -> str:
    """Why what the dialect's text says does not give the expected rows; '' if it does."""
    try:
        back = gone.there or write(only(list(gone.trees)), "duckdb").text
        if target.dialect.base != "duckdb":
            back = write(only(list(gone.trees)), target.dialect.base).text
    except (ValueError, SqlglotError) as error:
        return reason("cannot be read back", str(error) or "no tree")
    if back not in target.results:
        try:
            target.results[back] = target.database.run(back, LIMITS)
        except SqloraError as error:
            target.results[back] = reason("does not run", error.message)
    got = target.results[back]
    if isinstance(got, str):
        return got
    found = compare(expected, got, is_ordered(tree))
    return "" if found.equal else reason("other rows", found.reason)


def reason(kind: str, text: str) -> str:
    """The kind and the message without what is particular to a query, which ledgerql's errors end with."""
    text = text.splitlines()[0]
    text = re.sub(r"comes back as .*", "comes back as something else", text)
    text = re.sub(r"^(In [\w-]+, [^:]*): .*", r"\1", text)
    text = re.sub(r"; row \d.*", "", text)
    text = re.sub(r"(, line \d+, column \d+)?( at '.*?')?: ", ": ", text, count=1)
    text = text.removeprefix("DuckDB refused the query: ").removeprefix("SQLite refused the query: ")
    text = re.sub(r"(Cannot mix values of type|must appear in the GROUP BY clause).*", r"\1", text)
    text = re.sub(r"Cannot compare values of type.*", "Cannot compare values of these types", text)
    text = re.sub(r"(Could not convert string).*", r"\1", text).partition(" You ")[0]
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "…", text)
    return f"{kind}: {text[:100]}"


def summarize(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Any]]:
    by_dialect: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_dialect[verdict.dialect].append(verdict)
    return {name: _shares(found) for name, found in by_dialect.items()}


def _shares(found: list[Verdict]) -> dict[str, Any]:
    n = len(found)
    reasons: dict[str, Counter[str]] = {"round_trip": Counter(), "rows": Counter(), "duckdb_rows": Counter()}
    examples: dict[str, str] = {}
    for verdict in found:
        whys = (verdict.trip, verdict.rows, verdict.duckdb_rows)
        for where, why in zip(reasons, whys, strict=True):
            if why:
                reasons[where][why] += 1
                examples.setdefault(why, verdict.example)
    return {
        "n": n,
        "round_trip": (n - reasons["round_trip"].total()) / n,
        "as_it_was": sum(not v.trip and v.form == "same" for v in found) / n,
        "same_rows": (n - reasons["rows"].total()) / n,
        "same_rows_duckdb": (n - reasons["duckdb_rows"].total()) / n,
        "reasons": {where: dict(counted.most_common()) for where, counted in reasons.items()},
        "examples": examples,
    }


def table(report: dict[str, Any]) -> Iterator[str]:
    yield "| dialect | queries | round trip | as it was | same rows | same rows in DuckDB | what does not make it |"
    yield "|---|---|---|---|---|---|---|"
    for name, each in report["dialects"].items():
        shares = " | ".join(share(each[key]) for key in ("round_trip", "as_it_was", "same_rows", "same_rows_duckdb"))
        counted = each["reasons"]["rows"] | each["reasons"]["round_trip"]  # what cannot be written is in both
        why = [f"{count:,} {text}" for text, count in sorted(counted.items(), key=lambda item: -item[1])[:4]]
        yield f"| {name} | {each['n']:,} | {shares} | {escaped('; '.join(why)) or 'nothing'} |"


def duckdb_table(report: dict[str, Any]) -> Iterator[str]:
    """Reasons for other rows in DuckDB, of the first dialect: they lie with SQLite, and are the same in all."""
    yield "| queries | why DuckDB does not give the rows that SQLite gave |"
    yield "|---|---|"
    first = next(iter(report["dialects"].values()))
    for why, count in list(first["reasons"]["duckdb_rows"].items())[:12]:
        yield f"| {count} | {escaped(why)} |"


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def share(value: float) -> str:
    """Never 100 % unless it is all of them."""
    text = f"{100 * value:.1f}"
    return ("99.9" if text == "100.0" and value < 1 else text) + " %"


def write_page(page: Path, report: dict[str, Any]) -> None:
    """Replace what stands after the mark."""
    head = page.read_text(encoding="utf-8").partition(MARK)[0]
    lines = [MARK, "", note(report), "", *table(report), "", *duckdb_table(report), ""]
    page.write_text(head + "\n".join(lines), encoding="utf-8")


def note(report: dict[str, Any]) -> str:
    left = ", ".join(f"{count:,} {why}" for why, count in report["left_out"].items() if count)
    return f"{report['queries']:,} distinct queries of {report['databases']} databases. Left out: {left or 'none'}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train_spider.json.gz and database/")
    parser.add_argument("--dialect", action="append", help="a name or a .toml file; several times (default: all)")
    parser.add_argument("--every", type=int, default=1, help="only every so many queries")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--merge", type=Path, help="an earlier report, for the dialects that this run leaves out")
    parser.add_argument("--page", type=Path, help="the page whose table is replaced")
    arguments = parser.parse_args()
    started = time.monotonic()
    queries, left_out = read(arguments.data, arguments.every)
    names = arguments.dialect or [*specs(), *POPULAR]
    by_database: dict[str, list[str]] = defaultdict(list)
    for query in queries:
        by_database[query.database].append(query.sql)
    jobs = [(arguments.data, name, sqls, names) for name, sqls in by_database.items()]
    verdicts: list[Verdict] = []
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for index, (missing, found) in enumerate(pool.imap(examine, jobs), start=1):
            left_out += missing
            verdicts += found
            print(f"{index} of {len(jobs)} databases, {time.monotonic() - started:.0f} s", flush=True)
    report = {
        "queries": len(verdicts) // len(names),
        "databases": len(jobs),
        "left_out": dict(left_out),
        "seconds": round(time.monotonic() - started),
        "dialects": summarize(verdicts),
    }
    if arguments.merge:
        earlier = json.loads(arguments.merge.read_text(encoding="utf-8"))["dialects"]
        report["dialects"] |= {name: each for name, each in earlier.items() if name not in report["dialects"]}
    print("\n".join([*table(report), "", *duckdb_table(report)]))
    print(note(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.page:
        write_page(arguments.page, report)


def specs() -> list[str]:
    """The specs that come with sqlora, and the example's."""
    return [str(Path(__file__).parents[1] / "examples" / "retail" / "dialect.toml"), *shipped_dialects()]


if __name__ == "__main__":
    main()
