"""``sqlora dialect convert``: statement by statement, what is between them kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlora.cli.output import printable
from sqlora.cli.underline import underlined
from sqlora.errors import DialectError
from sqlora.sql.places import Places
from sqlora.sql.roundtrip import Loss, loss_of, reason_of
from sqlora.sql.statements import LONGEST, Statement, read_statements
from sqlora.sql.translate import instability, is_fragment, translate

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect


@dataclass
class Converted:
    """One statement in the other dialect; ``sql`` is empty where it cannot be said."""

    sql: str = ""
    losses: list[Loss] = field(default_factory=list)


def convert_file(path: Path, source: Dialect, target: Dialect, pretty: bool, as_json: bool) -> int:
    """Print the file's statements in ``target``; how many did not come over whole."""
    failed = 0
    name = "standard input" if str(path) == "-" else printable(str(path))
    if as_json:
        click.echo(json.dumps({"from": source.name, "to": target.name})[:-1] + ', "statements": [', nl=False)
    for index, statement in enumerate(read_statements(path, source, tail=not as_json)):
        if not statement.text:
            click.echo(_comments(statement.lead), nl=False)
            continue
        found = convert(statement, source, target, pretty)
        failed += bool(found.losses)
        if as_json:
            row = {"line": statement.line, "sql": found.sql, "losses": [asdict(loss) for loss in found.losses]}
            click.echo(f"{',' if index else ''}\n{json.dumps(row, ensure_ascii=False)}", nl=False)
            continue
        click.echo("".join(_text(statement, found)), nl=False)
        for loss in found.losses:
            _complain(name, statement, loss)
    if as_json:
        click.echo(f'], "failed": {failed}}}')
    return failed


def convert(statement: Statement, source: Dialect, target: Dialect, pretty: bool = False) -> Converted:
    """One statement in ``target``."""
    found = Converted()
    if statement.too_long:
        message = f"it has more than {LONGEST:,} characters"
        found.losses.append(Loss("statement", "the statement", message, 1, 1, statement.text[:20]))
        return found
    try:
        trees = source.parse_any(statement.text)
    except DialectError as error:
        return Converted(losses=[loss_of(error)])
    places = Places(statement.text, source)
    texts = []
    for tree in trees:
        place = places.of(tree)
        try:
            text, unsupported = translate(tree, source, target, pretty)
        except DialectError as error:
            return Converted(losses=[Loss("unwritable", "the statement", reason_of(error), *place)])
        if is_fragment(tree):
            return Converted(losses=[Loss("statement", "the statement", "this is no statement", *place)])
        texts.append(text)
        if not unsupported and (why := instability(text, target)):
            found.losses.append(Loss("changed", "the statement", why, *place))
        for node, message in unsupported:
            found.losses.append(Loss("unsupported", places.construct(node), message.rstrip("."), *places.of(node)))
    found.sql = ";\n".join(texts)
    return found


def _text(statement: Statement, found: Converted) -> Iterator[str]:
    """The statement with what stood before it; one that cannot be said as a comment."""
    yield _comments(statement.lead)
    if found.sql:
        yield f"{found.sql};\n"
        return
    yield f"-- not converted: {' '.join(found.losses[0].message.split())}\n"
    yield "".join(f"-- {line}\n" for line in statement.text.splitlines())


def _comments(lead: str) -> str:
    """What stood between two statements: comments in a form that every dialect reads, and empty lines."""
    kept = re.sub(r"(?m)^([ \t]*)(#|//)(?!\+)", r"\1--", lead)
    kept = kept.removeprefix("\n").rstrip(" \t")
    return kept if not kept or kept.endswith("\n") else f"{kept}\n"


def _complain(name: str, statement: Statement, loss: Loss) -> None:
    import shutil

    line, column = statement.place(loss.line, loss.column)
    place = click.style(f"{name}:{line}:{column}:", bold=True)
    click.echo(f"{place} {click.style(printable(loss.construct), fg='red')}: {printable(loss.message)}", err=True)
    source = statement.source_line(line)
    width = shutil.get_terminal_size((120, 24)).columns
    click.echo(underlined(source, line, column, loss.token or source[column - 1 :], width), err=True)
