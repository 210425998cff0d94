"""Help without heavy imports, errors without tracebacks, examples that parse."""

from __future__ import annotations

import errno
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sqlora.cli import prepare as prepare_module
from sqlora.cli.app import COMMANDS, app, report
from sqlora.cli.command import Examples
from sqlora.errors import InterruptedRunError, QueryError, SqloraError
from tests.unit.cli.conftest import Run

HEAVY = ("torch", "transformers", "boto3", "pydantic", "rich", "duckdb", "sqlglot", "numpy", "sqlite3")


def every_command() -> Iterator[tuple[str, Examples]]:
    context = click.Context(app)
    yield "sqlora", app
    for name in app.list_commands(context):
        found = app.get_command(context, name)
        assert isinstance(found, Examples), name
        yield f"sqlora {name}", found
        if isinstance(found, click.Group):
            for verb in found.commands.values():
                assert isinstance(verb, Examples)
                yield f"sqlora {name} {verb.name}", verb


EVERY = dict(every_command())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, json; from sqlora.cli.app import app\n"
        f"try: app.main({arguments!r}, prog_name='sqlora')\n"
        "except SystemExit: pass\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("name", EVERY)
def test_help_of_a_command_has_text_and_three_examples(name: str, run: Run) -> None:
    result = run(*name.split()[1:], "--help")
    assert result.exit_code == 0
    assert len(EVERY[name].examples) >= 3
    assert "Examples:" in result.stdout
    assert EVERY[name].help


def test_help_lists_every_command_with_its_own_first_line(run: Run) -> None:
    shown = run("--help").stdout
    for name, line in COMMANDS.items():
        assert name in shown
        assert line in shown
    modules = {path.stem for path in Path(prepare_module.__file__).parent.glob("*.py")}
    assert set(COMMANDS) <= modules


@pytest.mark.parametrize("line", [line for found in EVERY.values() for line in found.examples])
def test_examples_parse(line: str) -> None:
    """Every example is a command with options that exist; nothing is run."""
    for part in line.split(" | ")[0].split(" && "):
        words = shlex.split(part.split(" > ")[0])
        assert words[0] == "sqlora"
        command: click.Command = app
        arguments = words[1:]
        context = click.Context(app, info_name="sqlora")
        if arguments[:1] == ["-C"]:
            arguments = arguments[2:]
        while isinstance(command, click.Group):
            found = command.get_command(context, arguments[0])
            assert found is not None, line
            command, arguments = found, arguments[1:]
        command.make_context("sqlora", list(arguments), parent=context)


def test_every_listing_and_step_has_json() -> None:
    for name, found in EVERY.items():
        if not isinstance(found, click.Group):
            assert any("--json" in parameter.opts for parameter in found.params), name


def test_an_error_is_two_lines_and_exit_code_1(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("prepare")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"error: no sqlora.toml in {tmp_path} or any folder above it",
        "next: sqlora init --example retail",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pepare"], "No such command 'pepare'"),
        (["train", "--backend", "azure"], "'azure' is not one of"),
        (["ask"], "Missing argument 'QUESTION'"),
        (["cost", "--queries", "-1"], "-1 is not in the range"),
        (["-C", "/no/such/folder", "doctor"], "does not exist"),
    ],
)
def test_a_wrong_call_is_exit_code_2(run: Run, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(prepare_module, "open_project", fail)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (QueryError("refused", "ask again"), 1, ["error: refused", "next: ask again"]),
        (SqloraError("no advice"), 1, ["error: no advice"]),
        (KeyboardInterrupt(), 130, ["error: interrupted", "next: sqlora prepare --again    (goes on from here)"]),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            1,
            ["error: No space left on device: /data/x", "next: free some space and run the command again"],
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/data/x"),
            1,
            ["error: Permission denied: /data/x", "next: change the permissions, or work in another folder"],
        ),
        (
            ModuleNotFoundError("No module named 'botocore'", name="botocore.config"),
            1,
            ["error: this needs the package botocore", "next: pip install 'sqlora[aws]'"],
        ),
        (
            MemoryError(),
            1,
            ["error: out of memory", "next: close other programs, or choose a smaller base_model or pack_tokens"],
        ),
    ],
)
def test_what_stops_a_command_becomes_a_message_and_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: list[str]
) -> None:
    raising(error, monkeypatch)
    result = run("prepare", "--again")
    assert result.exit_code == code
    assert [line for line in result.stderr.splitlines() if line] == words


def test_a_stage_that_was_interrupted_says_where_in_its_own_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise InterruptedRunError("stopped at question 3 of 9") from None
    except InterruptedRunError as error:
        raising(error, monkeypatch)
    result = run("prepare")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[0] == "error: stopped at question 3 of 9"


def test_a_fault_of_sqlora_itself_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(ZeroDivisionError("a bug"), monkeypatch)
    assert isinstance(run("prepare").exception, ZeroDivisionError)
    assert report(ZeroDivisionError(), []) is None
    assert report(OSError(errno.ENOENT, "No such file"), []) is None


def test_a_closed_pipe_is_no_traceback() -> None:
    answer = subprocess.run(
        f"{sys.executable} -m sqlora cost --json | head -c 5",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in answer.stderr


def test_c_names_the_project_folder(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("-C", str(project), "datasets", "list", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
