"""Columns with a time of day: a question about days gets the rows of whole days."""

from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path
from random import Random

import duckdb
import pytest

from sqlora.prepare.sources.synthesize.glossary import Glossary
from sqlora.prepare.sources.synthesize.grammar import Grammar
from sqlora.prepare.sources.synthesize.lexicon import build_lexicon
from sqlora.prepare.sources.synthesize.periods import draw_period, draw_years
from sqlora.prepare.sources.synthesize.query import Select
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import open_database

GLOSSARY = Glossary(today=datetime.date(2026, 3, 4))


def _make(folder: Path, engine: str) -> str:
    """A table with a row each day up to today, at ten o'clock, and the day alone."""
    if engine == "duckdb":
        with duckdb.connect(str(folder / "x.duckdb")) as duck:
            duck.execute("CREATE TABLE visit (visit_id INTEGER PRIMARY KEY, ts TIMESTAMP, day DATE, room VARCHAR)")
            duck.execute(
                "INSERT INTO visit SELECT i, day + INTERVAL 10 HOUR, day, 'R' || i % 3 "
                "FROM (SELECT i, DATE '2026-03-04' - i::INTEGER AS day FROM range(900) t(i))"
            )
    else:
        with sqlite3.connect(folder / "x.sqlite") as lite:
            lite.execute("CREATE TABLE visit (visit_id INTEGER PRIMARY KEY, ts TEXT, day TEXT, room TEXT)")
            lite.executemany(
                "INSERT INTO visit SELECT :i, DATE('2026-03-04', :i || ' days') || ' 10:00:00', DATE('2026-03-04', :i || ' days'), 'R' || :i % 3",
                [{"i": -i} for i in range(900)],
            )
        lite.close()
    return f"{engine}:///x.{engine}"


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_a_period_has_the_rows_of_its_days_whatever_their_time(tmp_path: Path, engine: str) -> None:
    with open_database(_make(tmp_path, engine), tmp_path) as database:
        lexicon = build_lexicon(database.schema(), database, load_dialect(engine), GLOSSARY)
        times, days = (lexicon.columns["visit"][name] for name in ("ts", "day"))
        assert (times.kind, times.profile.timed, days.kind, days.profile.timed) == ("date", True, "date", False)
        phrases = set()
        for seed in range(90):
            drawn = [(draw_period(lexicon, each, Random(seed)), draw_years(lexicon, each, Random(seed))[0]) for each in (times, days)]
            for one, other in zip(*drawn, strict=True):
                assert one.phrase == other.phrase
                found = []
                for each, period in ((times, one), (days, other)):
                    tree = Select("visit", (each.expression,), (period.condition,)).build(lexicon.graph)
                    assert tree is not None
                    found.append(len(database.run(tree.sql(engine)).rows))
                phrases.add(one.phrase.split()[0])
                last = any(word in one.phrase for word in ("last", "past")) and any(word in one.phrase for word in ("days", "months"))
                assert found[0] - found[1] == int(last), one  # its first day is in, all of it
        assert {"on", "after", "between", "from", "in", "yesterday"} <= phrases


def test_days_are_shown_without_their_time(tmp_path: Path) -> None:
    with open_database(_make(tmp_path, "duckdb"), tmp_path) as database:
        lexicon = build_lexicon(database.schema(), database, load_dialect("duckdb"), GLOSSARY)
        grammar = Grammar(lexicon, Random(0), lambda _: [])
        shown = [each.shown[0].sql("duckdb") for each, _ in grammar.dimensions("visit", date=lexicon.columns["visit"]["ts"]) if "day" in each.nouns]
    assert shown == ["CAST(visit.ts AS DATE)"]
