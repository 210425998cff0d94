"""``sqlora init``: a folder → a project."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

import sqlora
from sqlora.cli.command import command as make
from sqlora.cli.output import print_fields, print_json, print_next, shown_path
from sqlora.cli.progress import ProgressLine
from sqlora.errors import ConfigError, ConflictError, DatabaseError

TEMPLATES = Path(__file__).with_name("templates")
# What running and checking an example leaves in its folder, and what only its authors need.
_LEFT_OUT = shutil.ignore_patterns("*.duckdb", "*.duckdb.wal", ".*", "__pycache__", "demo.py", "demo-result.json")


@make(
    name="init",
    examples={
        "sqlora init demo --example retail": "a retail chain: its own dialect, warehouse, questions",
        "sqlora init": "an explained sqlora.toml in this folder",
        "sqlora init reports --json": "for a script",
    },
)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--example", metavar="NAME", help="Start from an example: retail.")
@click.pass_context
def command(ctx: click.Context, folder: Path, example: str | None, as_json: bool) -> None:
    """Write a project into DIR (default: the current folder).

    Files that are there already are never overwritten: interrupted, the same command goes on.
    """
    target = ((ctx.obj or Path()) / folder).absolute()
    with ProgressLine() as line:
        if example is None:
            if (target / "sqlora.toml").exists():
                raise ConflictError(f"{target} has a sqlora.toml already", f"sqlora -C {shown_path(target)} doctor")
            written, kept = _copy([(TEMPLATES / "sqlora.toml", Path("sqlora.toml"))], target)
        else:
            source = find_example(example)
            written, kept = _copy(_files_of(source), target)
            if (target / "warehouse.py").is_file():
                database = target / "warehouse.duckdb"
                if database.exists():
                    kept.append(database)
                else:
                    line.message("building warehouse.duckdb, about 200,000 rows of invented data")
                    _build(source / "warehouse.py", database)
                    written.append(database)
    if as_json:
        print_json({"folder": target, "written": written, "kept": kept})
        return
    names = {"written": written, "kept as they were": kept}
    print_fields(
        {
            "project": target,
            **{key: [str(f.relative_to(target)) for f in files] for key, files in names.items() if files},
        }
    )
    here = "" if target == Path.cwd() else f"cd {shown_path(target)} && "
    print_next(
        f"{here}sqlora prepare" if example else f"edit {shown_path(target / 'sqlora.toml')}, then {here}sqlora doctor"
    )


def find_example(name: str) -> Path:
    """The folder of an example: in the installed package, else in the source tree."""
    package = Path(sqlora.__file__).parent
    places = [package / "examples", package.parents[1] / "examples"]
    found = [place for place in places if place.is_dir()]
    known = sorted({folder.name for place in found for folder in place.iterdir() if (folder / "sqlora.toml").exists()})
    if name not in known:
        raise ConfigError(
            f"no example {name!r}; there is: {', '.join(known) or 'none'}", "sqlora init DIR --example retail"
        )
    return next(place / name for place in found if (place / name).is_dir())


def _files_of(source: Path) -> Iterator[tuple[Path, Path]]:
    """(file, place in the project) of all that an example consists of, sqlora.toml last: it makes the project."""
    last = Path("sqlora.toml")
    yield from ((source / name, name) for name in _relative_files(source) if name != last)
    yield source / last, last


def _relative_files(source: Path) -> list[Path]:
    found: list[Path] = []
    for root, folders, files in os.walk(source):
        left_out = _LEFT_OUT(root, [*folders, *files])
        folders[:] = sorted(set(folders) - left_out)
        found += [(Path(root) / file).relative_to(source) for file in sorted(set(files) - left_out)]
    return found


def _copy(files: Iterable[tuple[Path, Path]], target: Path) -> tuple[list[Path], list[Path]]:
    """Copy aside and rename each; (written, already there)."""
    written: list[Path] = []
    kept: list[Path] = []
    for source, name in files:
        place = target / name
        if place.exists():
            kept.append(place)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(f".{place.name}.partial")
        try:
            shutil.copyfile(source, aside)
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
        written.append(place)
    return written, kept


def _build(script: Path, database: Path) -> None:
    """Run ``build(path)`` of the example's own script; it writes aside and renames."""
    spec = importlib.util.spec_from_file_location("sqlora_example_warehouse", script)
    if spec is None or spec.loader is None:
        raise DatabaseError(f"{script} can't be loaded", "install sqlora again")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the package's folder may not be writable
    sys.modules[spec.name] = module  # its dataclasses and NamedTuples look their module up
    try:
        spec.loader.exec_module(module)
        module.build(database)
    finally:
        sys.dont_write_bytecode = before
        sys.modules.pop(spec.name, None)
