"""A place in a text, shown: its line with the fault underlined, fitted to the terminal."""

from __future__ import annotations

import click

from sqlora.cli.output import printable

TAB = "    "


def underlined(source: str, number: int, column: int, token: str, width: int) -> str:
    """``source`` is line ``number``; the ``token`` at ``column`` (from 1) is underlined; ``width`` cells at most.

    12 │ SELECT LISTAGG(name, ', ') FROM item
       │        ^^^^^^^
    """
    from rich.cells import cell_len, set_cell_size

    gutter = str(number)
    room = max(width - len(gutter) - 5, 20)
    before, marked, after = (_flat(part) for part in _parts(source, column, len(token)))
    if cell_len(marked) > room - 2:
        marked, after = set_cell_size(marked, room - 2).rstrip() + "…", ""
    left = room - cell_len(marked)
    if cell_len(before) > left - min(cell_len(after), left // 3):
        before = "…" + _last_cells(before, left - min(cell_len(after), left // 3) - 1)
    if cell_len(before) + cell_len(after) > left:
        after = set_cell_size(after, max(left - cell_len(before) - 1, 0)).rstrip() + "…"
    bar = click.style("│", dim=True)
    carets = click.style("^" * max(cell_len(marked), 1), fg="red", bold=True)
    text = f"{before}{click.style(marked, fg='red') if marked else ''}{after}"
    return (
        f"  {click.style(gutter, dim=True)} {bar} {text.rstrip()}\n"
        f"  {' ' * len(gutter)} {bar} {' ' * cell_len(before)}{carets}"
    )


def _parts(source: str, column: int, length: int) -> tuple[str, str, str]:
    start = min(max(column - 1, 0), len(source))
    return source[:start], source[start : start + length], source[start + length :]


def _flat(text: str) -> str:
    return printable(text.replace("\t", TAB)).replace("\n", " ")


def _last_cells(text: str, cells: int) -> str:
    """The end of the text that fits in so many cells."""
    from rich.cells import cell_len

    while text and cell_len(text) > cells:
        text = text[max(1, (len(text) - cells) // 2) :] if len(text) > 2 * cells else text[1:]
    return text
