"""What commands print on standard output: a table or fields for people, JSON for machines.

Text that came from a model or a database is shown without its control characters: a terminal obeys those.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

PIPE_WIDTH = 10_000  # never wrap or cut what another program reads


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.date | dt.datetime | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table; numbers to the right. In a pipe as wide as its content."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lines = [list(row) for row in rows]
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, name in enumerate(columns):
        numbers = [row[index] for row in lines if row[index] is not None]
        right = bool(numbers) and all(isinstance(value, int | float | Decimal) for value in numbers)
        table.add_column(Text(printable(name)), justify="right" if right else "left", overflow="fold")
    for row in lines:
        table.add_row(*(Text(cell(value)) for value in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """``name  value`` lines; what is None or empty is left out."""
    shown = {name.replace("_", " "): cell(value) for name, value in fields.items() if value not in (None, "")}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        indented = value.replace("\n", "\n" + " " * (width + 2))
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {indented}")


def print_next(step: str) -> None:
    """The command that follows, on stderr so that it is in nobody's way."""
    click.echo(f"{click.style('next:', bold=True)} {step}", err=True)


def warn(message: str) -> None:
    """Something to know that is no error, on stderr."""
    click.echo(f"{click.style('warning:', fg='yellow')} {printable(message)}", err=True)


def cell(value: Any) -> str:
    """A value as text: ``NULL``, thousands separated, four digits of a fraction."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:,f}"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.001 or value == 0 else f"{value:.3g}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return shown_path(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return printable(str(value))


def printable(text: str) -> str:
    """``text`` with control characters (but line breaks and tabs) replaced by ``?``."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "?" if ord(letter) < 0x2028 else " " for letter in text
    )


def shown_path(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd())) if path != Path.cwd() else "."
    except ValueError:
        return str(path)


def duration(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def percent(value: float | None) -> str:
    """``61.3 %``; a dash when there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"
