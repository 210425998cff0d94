"""``sqlora serve --aws`` itself, with nothing in place of anything: a tiny model is trained, deployed and asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.wire.clients import KEY, SECRET, Session, boto, call, events, hang_up, open_ai
from tests.wire.live import records, until
from tests.wire.notebook_calls import Notebook, Outcome, default_bucket
from tests.wire.notebooks import path_a, path_b, sample_rows
from tests.wire.shop import job_request, nova, user
from tests.wire.training import ROOT

PAUSE = 0.1
SYSTEM = "You write SQL."
ASKED = {"system": [{"text": SYSTEM}], "messages": user("question 3?")}
TOKENS = 24
# Threads that wait for each other at every layer make a model of this size thirty times slower on a busy machine.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass
class Real:
    """The process, and where it answers."""

    folder: Path
    url: str
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """What it has written to its stderr."""
        return (self.folder / "stderr.txt").read_text()


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("real")
    make = f"from pathlib import Path; from tests.tiny import tiny_model; tiny_model(Path({str(folder / 'base')!r}))"
    subprocess.run([sys.executable, "-c", make], cwd=ROOT, check=True)
    (folder / "sqlora.toml").write_text('[project]\nname = "Larkspur Markets"\n[train]\nbase_model = "./base"\n')
    command = [str(Path(sys.executable).with_name("sqlora")), "serve", "--aws", "--port", "0", "--json"]
    with (
        (folder / "stderr.txt").open("wb") as errors,
        subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **ONE_THREAD}
        ) as process,
    ):
        try:
            known = folder / ".sqlora" / "server.json"
            until(lambda: process.poll() is not None or known.exists(), 60)
            assert process.poll() is None, (folder / "stderr.txt").read_text()
            made = Real(folder, json.loads(known.read_text())["url"], process)
            until(lambda: (process.poll() is not None) or answers(made.url), 60)
            yield made
            hang_up(made.url)
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether it does."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


@pytest.fixture
def session() -> Session:
    return Session(aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")


def check(outcome: Outcome) -> None:
    assert outcome.sql  # the words of a random model; that they are the tuned model's, see below
    assert outcome.generated
    assert outcome.output_tokens > 0
    assert outcome.judge_error == "ValidationException"  # a model of another provider


def test_the_notebook_of_path_a(real: Real, session: Session) -> None:
    outcome = path_a(session, real.url, sample_rows(10), PAUSE)
    assert ":custom-model/amazon.nova-micro-v1:0:128k/" in outcome.model_arn
    check(outcome)


def test_the_notebook_of_path_b(real: Real, session: Session) -> None:
    outcome = path_b(session, real.url, sample_rows(10), PAUSE)
    assert ":custom-model/imported/" in outcome.model_arn
    check(outcome)


@pytest.fixture(scope="session")
def deployment(real: Real) -> str:
    """The ARN of a deployment of what has been trained here for two epochs."""
    session = Session(aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
    bucket = default_bucket(Notebook(session, real.url))
    s3, bedrock = boto(real.url, "s3", s3={"addressing_style": "path"}), boto(real.url, "bedrock")
    for name, body in (("train.jsonl", records(16)), ("validation.jsonl", records(2, first=100))):
        s3.put_object(Bucket=bucket, Key=name, Body=body)
    request = job_request(
        "real",
        trainingDataConfig={"s3Uri": f"s3://{bucket}/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": f"s3://{bucket}/validation.jsonl"}]},
        outputDataConfig={"s3Uri": f"s3://{bucket}/real/"},
        hyperParameters={"epochCount": "2", "learningRate": "0.0001"},
    )
    job = bedrock.create_model_customization_job(**request)["jobArn"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = bedrock.get_model_customization_job(jobIdentifier=job)
        return None if found["status"] == "InProgress" else found

    done = until(ended, 120)
    assert done["status"] == "Completed", done
    assert done["trainingMetrics"]["trainingLoss"] > 0
    assert done["validationMetrics"][0]["validationLoss"] > 0
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="real/")["Contents"]]
    assert len(keys) == 3
    assert all(key.endswith(".csv") for key in keys)
    arn: str = bedrock.create_custom_model_deployment(modelDeploymentName="real", modelArn=done["outputModelArn"])[
        "customModelDeploymentArn"
    ]
    until(lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["status"] == "Active")
    return arn


def prompt_tokens(*turns: tuple[str, str]) -> int:
    """Of the tiny model: a token a byte, and two that begin and end a turn (tests/tiny.py)."""
    inside = sum(2 + len(f"{role}\n{text}\n".encode()) for role, text in turns)
    return inside + 1 + len(b"assistant\n")


def test_all_forms_give_the_same_answer_and_count_its_tokens(real: Real, deployment: str) -> None:
    runtime, client = boto(real.url, "bedrock-runtime"), open_ai(real.url)
    config = {"inferenceConfig": {"maxTokens": TOKENS, "temperature": 0}}
    whole = runtime.converse(modelId=deployment, **ASKED, **config)
    text, usage = whole["output"]["message"]["content"][0]["text"], whole["usage"]
    assert usage["inputTokens"] == prompt_tokens(("system", SYSTEM), ("user", "question 3?"))
    assert 1 <= usage["outputTokens"] <= TOKENS
    assert whole["stopReason"] == ("max_tokens" if usage["outputTokens"] == TOKENS else "end_turn")
    assert whole["metrics"]["latencyMs"] > 0

    streamed = list(events(runtime, "ConverseStream", modelId=deployment, **ASKED, **config))
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in streamed if "contentBlockDelta" in e) == text
    # a prefix read from the cache is part of the input, and said beside it
    assert streamed[-1]["metadata"]["usage"]["inputTokens"] == usage["inputTokens"]
    assert streamed[-1]["metadata"]["usage"]["cacheReadInputTokens"] > 0

    body = json.loads(nova("question 3?", maxTokens=TOKENS, temperature=0)) | {"system": ASKED["system"]}
    invoked = json.loads(call(runtime, "InvokeModel", modelId=deployment, body=json.dumps(body))["body"].read())
    assert invoked["output"]["message"]["content"][0]["text"] == text
    chat = client.chat.completions.create(
        model="real",
        messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": "question 3?"}],
        max_tokens=TOKENS,
        temperature=0,
    )
    assert chat.choices[0].message.content == text
    base = runtime.converse(modelId="amazon.nova-micro-v1:0", **ASKED, **config)
    assert base["output"]["message"]["content"][0]["text"] != text


def test_too_long_for_the_context(real: Real, deployment: str) -> None:
    runtime = boto(real.url, "bedrock-runtime")
    with pytest.raises(runtime.exceptions.ValidationException, match="4,096"):
        runtime.converse(modelId=deployment, messages=user("x" * 4096))


def test_an_orderly_end_with_no_secret_in_the_log(real: Real, deployment: str) -> None:
    boto(real.url, "bedrock").list_custom_models()
    hang_up(real.url)
    real.process.send_signal(signal.SIGTERM)
    assert real.process.wait(30) == 0, real.log()
    log = real.log()
    assert "operation=ListCustomModels" in log
    for secret in (
        SECRET,
        "Signature=",
        "AWS4-HMAC",
        "Bearer",
        "question 3?",
        SYSTEM,
        "older than",
        "HTTP/1.1",
        "Traceback",
    ):
        assert secret not in log, secret
    assert os.listdir(real.folder / ".sqlora").count("server.json") == 0
