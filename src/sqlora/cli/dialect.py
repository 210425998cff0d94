"""``sqlora dialect``: the SQL dialects there are, how one is written, and what of it survives the way to an engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_json, print_next, print_table, shown_path, warn
from sqlora.errors import ConfigError, ConflictError, DialectError

if TYPE_CHECKING:
    from sqlora.cli.dialect_run import Run
    from sqlora.project import Project
    from sqlora.sql.dialect import Dialect

FILES = click.Path(path_type=Path, allow_dash=True)
# Where a query can be sent to on its way: the engines that run here.
ENGINES = ("duckdb", "sqlite", "postgres", "mysql")

# What people look for under another name than sqlglot's.
ALSO_CALLED = {
    "postgresql": "postgres", "pg": "postgres", "mariadb": "mysql", "mssql": "tsql", "sqlserver": "tsql",
    "sql server": "tsql", "sparksql": "spark", "sqlite3": "sqlite", "plsql": "oracle",
}  # fmt: skip


@nouns(
    examples={
        "sqlora dialect list": "every dialect by name",
        "sqlora dialect new --from snowflake": "dialect.toml, to be made your own",
        "sqlora dialect check queries.sql --dialect dialect.toml": "what survives, and what does not",
    }
)
def command() -> None:
    """SQL dialects: those known by name, and your own as a TOML file."""


@verb(
    command,
    "list",
    examples={
        "sqlora dialect list": "name, base and where its queries run",
        "sqlora dialect list --json": "for a script",
        "sqlora dialect list --json | jq -r '.[] | select(.kind == \"spec\").name'": "those that come with sqlora",
    },
)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the dialects there are.

    The project's own comes first, then the specs that come with sqlora, then sqlglot's.
    """
    from sqlora.cli.dialect_view import known_dialects

    found = known_dialects(_project(ctx))
    if as_json:
        print_json(found)
        return
    print_table(
        ["name", "kind", "run by", "what it is"],
        [
            [
                each["name"], each["kind"] if each["kind"] == "sqlglot" else f"{each['kind']} over {each['base']}",
                each["runs"], each["description"],
            ]
            for each in found
        ],
    )  # fmt: skip
    print_next("sqlora dialect show NAME")


@verb(
    command,
    "show",
    examples={
        "sqlora dialect show": "the project's",
        "sqlora dialect show tsql": "by name, with queries as it writes them",
        "sqlora dialect show dialect.toml --json": "a spec of your own, for a script",
    },
)
@click.argument("name", required=False)
@click.pass_context
def show(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Show a dialect's rules and samples.

    NAME is one of the list or a .toml file (default: the project's dialect). The samples are the same for all.
    """
    from sqlora.cli.dialect_view import describe, print_dialect

    described = describe(_dialect(ctx, name, "NAME"))
    if as_json:
        print_json(described)
    else:
        print_dialect(described)


@verb(
    command,
    "new",
    examples={
        "sqlora dialect new --from snowflake": "dialect.toml over Snowflake's SQL, explained line by line",
        "sqlora dialect new --from tsql --name acme acme.toml": "with a name and a file of your choice",
        "sqlora dialect new --from duckdb -": "to standard output",
    },
)
@click.argument("file", metavar="[FILE]", default="dialect.toml", type=FILES)
@click.option("--from", "base", metavar="NAME", required=True, help="The dialect that yours is nearest to.")
@click.option("--name", metavar="NAME", help="Your dialect's name (default: the file's).")
@click.pass_context
def new(ctx: click.Context, file: Path, base: str, name: str | None, as_json: bool) -> None:
    """Write a dialect of your own to FILE.

    It is the same as NAME until you change it. Without FILE it is dialect.toml, and - is standard output.
    """
    from sqlora.cli.dialect_file import new_dialect

    text = new_dialect(_dialect(ctx, base, "--from"), name or ("house" if str(file) == "-" else file.stem))
    if str(file) == "-":
        click.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise ConflictError(f"{file} is there already", f"sqlora dialect new --from {base} other.toml") from None
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(
            f"{file} cannot be written: {error.strerror}", "name a file in a folder that exists"
        ) from None
    if as_json:
        print_json({"file": file})
        return
    click.echo(f"wrote {shown_path(file)}")
    print_next(f"edit {shown_path(file)}, then sqlora dialect check queries.sql --dialect {shown_path(file)}")


@verb(
    command,
    "check",
    examples={
        "sqlora dialect check queries.sql": "in the project's dialect",
        "sqlora dialect check reports/*.sql --dialect snowflake": "before a warehouse's queries are used",
        "sqlora dialect check queries.sql --run": "and run each, read-only: as it was, and as it came back",
        "sqlora dialect check - --dialect oracle --json < dump.sql": "from standard input, for a script",
    },
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option("--dialect", "name", metavar="NAME", help="What they are written in (default: the project's).")
@click.option("--through", type=click.Choice(ENGINES), help="The engine they are translated for (default: duckdb).")
@click.option("--run", is_flag=True, help="Run each query, read-only, before and after; its rows must be the same.")
@click.option("--database", metavar="URL", help="Where to run (default: the project's database).")
@click.option("--all", "every", is_flag=True, help="Show every place, not the first three of each reason.")
@click.pass_context
def check(
    ctx: click.Context, files: tuple[Path, ...], name: str | None, through: str | None, run: bool,
    database: str | None, every: bool, as_json: bool,
) -> None:  # fmt: skip
    """Say what in FILE... survives a round trip.

    Each statement goes from its dialect into the engine's SQL and back. What does not come back with its meaning, or
    what the engine does not know, is underlined; then the exit code is 1. A FILE of - is standard input.
    """
    from sqlora.cli.dialect_check import Check
    from sqlora.cli.dialect_run import open_run

    dialect = _dialect(ctx, name, "--dialect")
    with open_run(_project(ctx), dialect, database if run or database else None, run) as runner:
        checked = Check(dialect, through or _engine(dialect, runner), runner, every, as_json)
        for file in files:
            checked.file(file)
        checked.finish()
    ctx.exit(1 if checked.failed else 0)


@verb(
    command,
    "convert",
    examples={
        "sqlora dialect convert --from tsql --to snowflake report.sql": "to standard output",
        "sqlora dialect convert --to duckdb queries.sql > duckdb.sql": "from the project's dialect",
        "sqlora dialect convert --from oracle --to duckdb old.sql --json | jq .failed": "how many did not come over",
    },
)
@click.argument("file", metavar="FILE", type=FILES)
@click.option("--from", "source", metavar="NAME", help="What FILE is written in (default: the project's dialect).")
@click.option("--to", "target", metavar="NAME", required=True, help="What to write.")
@click.option("--pretty", is_flag=True, help="A clause a line.")
@click.pass_context
def convert(ctx: click.Context, file: Path, source: str | None, target: str, pretty: bool, as_json: bool) -> None:
    """Write FILE in another dialect.

    The result goes to standard output; a FILE of - is standard input. Comments between statements stay. A statement
    that cannot be said is kept as a comment; what may have lost its meaning is underlined on standard error; in both
    cases the exit code is 1.
    """
    from sqlora.cli.dialect_convert import convert_file

    failed = convert_file(file, _dialect(ctx, source, "--from"), _dialect(ctx, target, "--to"), pretty, as_json)
    if failed:
        warn(f"{failed:,} {'statement' if failed == 1 else 'statements'} did not come over whole")
    ctx.exit(1 if failed else 0)


def _engine(dialect: Dialect, runner: Run | None) -> str:
    """Where queries go if nobody says: to the database's engine, but to DuckDB where that speaks the dialect itself."""
    elsewhere = runner is not None and runner.engine in ENGINES and runner.engine != dialect.base
    return runner.engine if runner is not None and elsewhere else "duckdb"


def _project(ctx: click.Context) -> Project | None:
    """The project here, where there is one: these commands work without."""
    from sqlora.project import find_project_file, load_project

    try:
        find_project_file(ctx.obj)
    except ConfigError:
        return None
    return load_project(ctx.obj)


def _dialect(ctx: click.Context, name: str | None, option: str) -> Dialect:
    """The dialect called ``name``, else the project's."""
    import logging

    from sqlora.sql.dialect import load_dialect

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it warns of, these commands report
    if name is not None:
        if not name.strip():
            raise click.BadParameter("the name is empty", param_hint=option)
        if other := ALSO_CALLED.get(name.lower()):
            raise DialectError(f"There is no SQL dialect {name!r}.", f"It is called {other} here.")
        if name.endswith(".toml") and not Path(name).is_file():
            write = f"sqlora dialect new --from duckdb {name}"
            raise DialectError(f"There is no dialect file {name}.", f"Correct {option}, or write the file: {write}")
        return load_dialect(name, Path.cwd())
    project = _project(ctx)
    if project is None:
        raise ConfigError("which dialect? there is no sqlora.toml here to tell", f"give {option}: sqlora dialect list")
    return project.dialect()
