"""``sqlora dialect check``: statements go round, what is lost is shown as it is found, constructs are counted."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.output import cell, print_table, printable, warn
from sqlora.cli.underline import underlined
from sqlora.errors import DatasetError
from sqlora.sql.places import Places
from sqlora.sql.roundtrip import Loss, RoundTrip, Trip
from sqlora.sql.statements import LONGEST, Statement, read_statements

if TYPE_CHECKING:
    from sqlora.cli.dialect_run import Run
    from sqlora.sql.dialect import Dialect

SHOWN = 3  # places of one construct with one reason
REASONS = 20  # of one construct whose places are shown
NAMES = 30  # constructs in the line of those that survive, and rows of the table of what does not

Cause = tuple[str, str]  # a construct, and why it does not survive


class Check:
    """The checking of some files, with its output: for people, or one JSON document; both as it goes."""

    def __init__(self, dialect: Dialect, through: str, run: Run | None, every: bool, as_json: bool) -> None:
        self.round = RoundTrip(dialect, through)
        self.dialect, self.run, self.every, self.as_json = dialect, run, every, as_json
        self.outcomes: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.causes: Counter[Cause] = Counter()  # in how many statements
        self.places: Counter[Cause] = Counter()
        self.number: dict[Cause, int] = {}  # the how manieth of its construct it is
        self.found: Counter[str] = Counter()  # how many a construct has
        self.reasons: dict[Cause, str] = {}  # the first message of each
        self.hidden = 0
        self.files = self.unread = 0
        self.width = _width()
        self._said, self._counting = time.monotonic(), False
        if as_json:
            head = {"dialect": dialect.name, "through": through, "database": run.database.name if run else None}
            click.echo(json.dumps(head, ensure_ascii=False)[:-1] + ', "statements": [', nl=False)

    @property
    def failed(self) -> bool:
        """Whether something does not survive, or could not be read."""
        return bool(self.outcomes["lost"] or self.unread)

    def file(self, path: Path) -> None:
        """Check the statements of one file; a file that cannot be read is reported like a statement."""
        self.files += 1
        name = "standard input" if str(path) == "-" else printable(str(path))
        count = 0
        try:
            for statement in read_statements(path, self.dialect):
                count += 1
                self._statement(name, statement)
        except DatasetError as error:
            self._unreadable(name, printable(error.message), printable(error.next_step or ""))
        else:
            if not count:
                warn(f"{name} has no statement")

    def _unreadable(self, name: str, message: str, next_step: str) -> None:
        self.unread += 1
        if self.as_json:
            self._json(name, 0, "unreadable", None, [Loss("statement", "the file", message)])
            return
        self._clear()
        click.echo(f"{click.style('error:', fg='red', bold=True)} {message}")
        if next_step:
            click.echo(f"  {next_step}")

    def _statement(self, name: str, statement: Statement) -> None:
        trip = self._trip(statement)
        self.outcomes[trip.outcome] += 1
        lost = {loss.construct for loss in trip.losses}
        self.lost.update(lost)
        self.causes.update({_cause(loss) for loss in trip.losses})
        for loss in trip.losses:
            self.reasons.setdefault(_cause(loss), loss.message)
        if trip.trees:
            self.used.update(Places(statement.text, self.dialect).constructs(trip.trees) | lost)
        else:
            self.used.update(lost)
        if self.as_json:
            self._json(name, statement.line, trip.outcome, trip, _placed(statement, trip.losses))
            return
        for loss in trip.losses:
            self._show(name, statement, loss)
        self._count()

    def _trip(self, statement: Statement) -> Trip:
        if statement.too_long:
            message = f"it has more than {LONGEST:,} characters, and is not looked at"
            return Trip("lost", losses=(Loss("statement", "the statement", message, 1, 1, statement.text[:20]),))
        trip = self.round.trip(statement.text)
        if self.run is not None and trip.outcome != "lost" and (losses := self.run.losses(statement.text, trip)):
            return Trip("lost", trip.there, trip.back, tuple(losses), trip.trees)
        return trip

    def _show(self, name: str, statement: Statement, loss: Loss) -> None:
        cause = _cause(loss)
        if cause not in self.places:
            self.found[loss.construct] += 1
            self.number[cause] = self.found[loss.construct]
        self.places[cause] += 1
        if not self.every and (self.places[cause] > SHOWN or self.number[cause] > REASONS):
            self.hidden += 1
            return
        self._clear()
        line, column = statement.place(loss.line, loss.column)
        place = click.style(f"{name}:{line}:{column}:", bold=True)
        click.echo(f"{place} {click.style(printable(loss.construct), fg='red')}: {printable(loss.message)}")
        token = loss.token or statement.source_line(line)[column - 1 :]
        click.echo(underlined(statement.source_line(line), line, column, token, self.width))

    def finish(self) -> None:
        """Print what came of it all."""
        self._clear()
        if self.as_json:
            click.echo(f"], {json.dumps(self._summary(), ensure_ascii=False)[1:]}")
            return
        if self.hidden:
            places = "place" if self.hidden == 1 else "places"
            click.echo(f"… and {self.hidden:,} more {places} like these (--all shows each)")
        if self.causes:
            print_table(
                ["does not survive", "statements", "of", "why"],
                [[c[0], n, self.used[c[0]], _brief(self.reasons[c])] for c, n in self.causes.most_common(NAMES)],
            )
            if len(self.causes) > NAMES:
                click.echo(f"and {len(self.causes) - NAMES:,} more reasons (--json has all)")
        if survivors := [(c, n) for c, n in self._counted() if not self.lost[c]]:
            names = ", ".join(f"{c} {n:,}" for c, n in survivors[:NAMES])
            more = f", and {len(survivors) - NAMES:,} more" if len(survivors) > NAMES else ""
            click.echo(f"{click.style('survives:', dim=True)} {names}{more}")
        click.echo(self._line())

    def _line(self) -> str:
        total = sum(self.outcomes.values())
        where = f" in {self.files:,} files" if self.files > 1 else ""
        engine = self.round.engine_name
        lost, rewritten = self.outcomes["lost"], self.outcomes["rewritten"]
        verb = "survives" if total - lost == 1 else "survive"
        text = f"{_count(total, 'statement')}{where}, {self.dialect.name} through {engine}: {total - lost:,} {verb}"
        if rewritten:
            text += f" ({rewritten:,} in another form)"
        if lost:
            text += ", " + click.style(f"{lost:,} {'does' if lost == 1 else 'do'} not", fg="red", bold=True)
        if self.run is not None:
            text += f"; {self.run.same:,} of {_count(self.run.queries, 'query')} gave the same rows"
        return text

    def _summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {"counts": {key: self.outcomes[key] for key in ("same", "rewritten", "lost")}}
        if self.run is not None:
            found["rows"] = {"queries": self.run.queries, "same": self.run.same}
        why: dict[str, str] = {}
        for (construct, _), message in self.reasons.items():
            why.setdefault(construct, message)
        found["constructs"] = [
            {"name": c, "statements": n, "lost": self.lost[c], "why": why.get(c)} for c, n in self._counted()
        ]
        return found

    def _counted(self) -> list[tuple[str, int]]:
        """The constructs and how many statements have them, the most frequent first."""
        return sorted(self.used.items(), key=lambda item: (-item[1], item[0]))

    def _json(self, name: str, line: int, outcome: str, trip: Trip | None, losses: list[Loss]) -> None:
        comma = "" if sum(self.outcomes.values()) + self.unread <= 1 else ","
        row = {
            "file": name, "line": line, "outcome": outcome, "there": trip.there if trip else "",
            "back": trip.back if trip else "", "losses": [asdict(loss) for loss in losses],
        }  # fmt: skip
        click.echo(f"{comma}\n{json.dumps(row, ensure_ascii=False)}", nl=False)

    def _count(self) -> None:
        """How far it is, on a terminal, now and then."""
        if sys.stderr.isatty() and time.monotonic() - self._said > 0.5:
            self._said, self._counting = time.monotonic(), True
            click.echo(f"\r{sum(self.outcomes.values()):,} statements", nl=False, err=True)

    def _clear(self) -> None:
        if self._counting:
            self._counting = False
            click.echo("\r\x1b[K", nl=False, err=True)


def _cause(loss: Loss) -> Cause:
    """What of a loss is the same in its other places: how something changes differs in each."""
    return loss.construct, loss.kind if loss.kind in ("changed", "unwritable") else loss.message


def _placed(statement: Statement, losses: tuple[Loss, ...]) -> list[Loss]:
    """The losses with their places in the file."""
    placed = []
    for loss in losses:
        line, column = statement.place(loss.line, loss.column)
        placed.append(Loss(loss.kind, loss.construct, loss.message, line, column, loss.token))
    return placed


def _brief(text: str) -> str:
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= 90 else f"{flat[:89]}…"


def _count(number: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{cell(number)} {noun if number == 1 else many}"


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((120, 24)).columns
