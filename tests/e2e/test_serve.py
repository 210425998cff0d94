"""``sqlora serve`` with the real base model, as a process: every client gets the answer that ``sqlora ask`` prints.

Needs the package registry, or a cache with the converted model; skipped with a reason where neither is there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sqlora.errors import RetryableError
from sqlora.models.base import resolve_base_model
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.project import Project
from sqlora.prompting import clean_sql, system_text
from tests.process import ServerProcess, boto_client, deploy, make_project, openai_client

pytestmark = pytest.mark.e2e

SYSTEM = system_text("duckdb", "store(store_id, store_name, city)\nsale(sale_id, store_id, day, amount)")
QUESTION = "How much did each city sell?"
TOKENS = 24


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    try:
        resolve_base_model("smollm2-135m")
    except RetryableError as error:
        pytest.skip(f"the base model can't be fetched: {error.message}")
    project = make_project(tmp_path_factory.mktemp("project"))
    deploy(project, [SYSTEM, SYSTEM], size=0.05)
    return project


@pytest.fixture(scope="module")
def server(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(project, tmp_path_factory.mktemp("log") / "serve.log") as server:
        yield server


def ask(project: Project, deployment: str) -> dict[str, Any]:
    """What the command line answers."""
    command = [sys.executable, "-m", "sqlora", "-C", str(project.folder), "ask", QUESTION]
    done = subprocess.run(
        [*command, "--deployment", deployment, "--max-tokens", str(TOKENS), "--json"],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def converse_stream(url: str, deployment: str, tokens: int = TOKENS) -> Iterator[dict[str, Any]]:
    """Greedily, with the deployment's own system text."""
    answer = boto_client(url).converse_stream(
        modelId=deployment,
        messages=[{"role": "user", "content": [{"text": QUESTION}]}],
        inferenceConfig={"maxTokens": tokens, "temperature": 0.0},
    )
    yield from answer["stream"]


def rows(project: Project) -> list[UsageRow]:
    with State(project.paths.database) as state:
        return state.usage.list(limit=10_000)


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event)


@pytest.mark.parametrize("deployment", ["shop-00", "shop-01"])
def test_all_clients_get_the_answer_of_the_command_line(
    project: Project, server: ServerProcess, deployment: str
) -> None:
    asked = ask(project, deployment)
    before = len(rows(project))
    events = list(converse_stream(server.url, deployment))
    chat = openai_client(server.url).chat.completions.create(
        model=deployment, messages=[{"role": "user", "content": QUESTION}], max_tokens=TOKENS, temperature=0
    )
    text = text_of(events)
    assert clean_sql(text) == asked["sql"]
    assert chat.choices[0].message.content == text
    usage = next(event["metadata"]["usage"] for event in events if "metadata" in event)
    assert (usage["inputTokens"], usage["outputTokens"]) == (asked["input_tokens"], asked["output_tokens"])
    assert chat.usage is not None
    assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (usage["inputTokens"], usage["outputTokens"])
    new = rows(project)[: len(rows(project)) - before]
    said = {(row.deployment, row.input_tokens, row.output_tokens) for row in new}
    assert len(new) == 2
    assert said == {(deployment, usage["inputTokens"], usage["outputTokens"])}
    assert {row.caller for row in new} == {"AKIDEXAMPLE", "bearer"}


def test_the_two_deployments_and_the_base_answer_differently(project: Project, server: ServerProcess) -> None:
    texts = {text_of(list(converse_stream(server.url, name))) for name in ("shop-00", "shop-01", "base")}
    assert len(texts) == 3


def test_a_server_killed_in_the_middle_of_an_answer_loses_no_usage(project: Project, server: ServerProcess) -> None:
    before = list(converse_stream(server.url, "shop-00"))
    kept = rows(project)
    cut = converse_stream(server.url, "shop-01", tokens=2000)
    next(event for event in cut if "contentBlockDelta" in event)
    server.kill()
    with pytest.raises(Exception):  # noqa: B017 - whatever the client makes of a connection that ends
        list(cut)
    assert rows(project) == kept
    assert (kept[0].deployment, kept[0].output_tokens) == ("shop-00", output_tokens(before))
    url = server.start()
    after = list(converse_stream(url, "shop-00"))
    assert text_of(after) == text_of(before)
    assert rows(project)[1:] == kept
    assert rows(project)[0].output_tokens == output_tokens(before)


def output_tokens(events: list[dict[str, Any]]) -> int:
    return next(int(event["metadata"]["usage"]["outputTokens"]) for event in events if "metadata" in event)
