"""``sqlora serve`` as a process: it says where it is, answers, shows what it holds, and ends when told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Run
from tests.unit.serve.live import boto, close_clients, openai

USER = [{"role": "user", "content": [{"text": "how many stores?"}]}]


@contextmanager
def serve(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and what it printed when it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sqlora", "serve", "--port", "0", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.rstrip() == "}":
                break
        assert lines, process.communicate()[1]
        yield process, json.loads("".join(lines))
    finally:
        close_clients()
        process.kill()
        process.communicate()


def test_serve_answers_and_ps_shows_and_sigterm_ends_it_well(project: Path, run: Run) -> None:
    with serve() as (process, said):
        answer = boto(said["url"]).converse(modelId="base", messages=USER, inferenceConfig={"maxTokens": 4})
        assert answer["usage"]["outputTokens"] <= 4
        chat = openai(said["url"]).chat.completions.create(
            model="amazon.nova-micro-v1:0", messages=[{"role": "user", "content": "how many?"}], max_tokens=4
        )
        assert chat.usage is not None
        shown = json.loads(run("ps", "--json").stdout)
        assert (shown["url"], shown["adapters"], shown["running"]) == (said["url"], [], 0)
        assert said["url"] in run("ps").stdout
        second = run("serve", "--port", "0")
        assert second.exit_code == 1
        assert f"a server of this project runs already: process {process.pid}" in second.stderr
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "operation=Converse status=200" in log
    assert "Traceback" not in log
    usage = json.loads(run("usage", "list", "--json").stdout)
    assert [row["caller"] for row in usage] == ["bearer", "AKIAEXAMPLE"]
    gone = run("ps")
    assert gone.exit_code == 1
    assert gone.stderr.splitlines()[:2] == ["error: no server runs for this project", "next: sqlora serve"]


def test_ctrl_c_ends_it_well_too(project: Path) -> None:
    with serve() as (process, _):
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_what_stops_it_from_starting_is_said_in_two_lines(project: Path, run: Run) -> None:
    refused = run("serve", "--host", "0.0.0.0")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == [
        "error: other machines can reach 0.0.0.0, and no key keeps them out",
        "next: sqlora keys create NAME --scope invoke, or --host 127.0.0.1",
    ]
    assert run("serve", "--port", "70000").exit_code == 2
    assert "tls_cert and tls_key come together" in run("serve", "--tls-cert", "x.pem").stderr
