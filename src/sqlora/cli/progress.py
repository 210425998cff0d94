"""How far long work is, on stderr: a bar on a terminal, a line now and then elsewhere; always with the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import click

from sqlora.cli.output import duration, printable

PLAIN_SECONDS = 10.0  # between lines of one phase where nobody watches a bar


class ProgressLine:
    """Shows `update`s of one command's work. Use it in a ``with``."""

    def __init__(
        self, terminal: bool | None = None, clock: Callable[[], float] = time.monotonic, every: float = PLAIN_SECONDS
    ) -> None:
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._clock, self._every = clock, every
        self._bar: Any = None
        self._task: Any = None
        self._phase = ""
        self._begun = self._said = 0.0
        self._last = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def message(self, text: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(printable(text)))
        else:
            click.echo(printable(text), err=True)

    def update(
        self,
        phase: str,
        done: float = 0,
        total: float | None = None,
        detail: str = "",
        seconds_left: float | None = None,
    ) -> None:
        """``done`` of ``total`` in ``phase``. The time left is reckoned from the rate so far unless given."""
        now = self._clock()
        new = phase != self._phase
        if new:
            self._phase, self._begun = phase, now
        if total is not None and done >= total:
            seconds_left = None
        elif seconds_left is None and total and done:
            seconds_left = (now - self._begun) * (total - done) / done if now > self._begun else None
        left = "" if seconds_left is None else f"{duration(seconds_left)} left"
        if self._terminal:
            self._draw(phase, done, total, detail, left, new)
        elif new or now - self._said >= self._every or (total is not None and done >= total):
            count = "" if total is None and not done else f" {done:,.0f}" + (f" of {total:,.0f}" if total else "")
            text = ", ".join(part for part in (f"{phase}{count}", detail, left) if part)
            if text != self._last:
                self._said, self._last = now, text
                click.echo(printable(text), err=True)

    def _draw(self, phase: str, done: float, total: float | None, detail: str, left: str, new: bool) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
        shown = {"completed": done, "total": total, "detail": printable(detail), "left": left}
        if not new:
            self._bar.update(self._task, **shown)
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(phase, **shown)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TextColumn("{task.fields[left]}", style="bold", markup=False),
        console=Console(stderr=True),
        transient=True,
    )
