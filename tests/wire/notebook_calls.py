"""What AWS's two notebooks (`tests.wire.notebooks`) have in common: what they begin and end with."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

PROFILE = "us.amazon.nova-micro-v1:0"
JUDGE = "us.anthropic.claude-3-5-haiku-20241022-v1:0"
TIMED_SYSTEM = (
    "You are a powerful text-to-SQL model. Your job is to answer questions about a database. You can use the following "
    "table schema for context: CREATE TABLE table_name_6 (winner_and_score VARCHAR, week VARCHAR)"
)
TIMED_QUESTION = (
    "Return the SQL query that answers the following question: who is the winner and score for the week of august 9?"
)


@dataclass(frozen=True)
class Row:
    """One of b-mc2/sql-create-context: a question, the CREATE TABLE statements it is about, the SQL."""

    question: str
    context: str
    answer: str


@dataclass
class Outcome:
    """What a path came to: the answer of the tuned model, what was made, and how the judge was refused."""

    sql: str = ""
    model_arn: str = ""
    deployment_arn: str = ""
    judge_error: str = ""
    generated: list[str] = field(default_factory=list)
    output_tokens: int = 0


@dataclass(frozen=True)
class Notebook:
    """One run: clients of ``session`` at ``endpoint`` (None: wherever the environment points), ``pause`` seconds a poll."""

    session: Any
    endpoint: str | None = None
    pause: float = 1.0
    patience: float = 3600.0
    timestamp: str = field(default_factory=lambda: time.strftime("%Y%m%d-%H%M%S"))

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return self.session.client(service, endpoint_url=self.endpoint)

    def poll(self, ask: Callable[[], str], good: str, bad: Sequence[str]) -> None:
        """Ask until the status is good; AssertionError when it is bad or time is over."""
        until = time.monotonic() + self.patience
        while (status := ask()) != good:
            assert status not in bad, f"ended as {status}"
            assert time.monotonic() < until, f"still {status}"
            time.sleep(self.pause)


# what both notebooks begin with ----------------------------------------------------------------------------------------


def execution_role(notebook: Notebook) -> str:
    """The role that a SageMaker notebook runs as; made if it is missing, which on AWS the console has done."""
    iam, name = notebook.client("iam"), "AmazonSageMaker-ExecutionRole"
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("sagemaker.amazonaws.com"))
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    return str(iam.get_role(RoleName=name)["Role"]["Arn"])


def default_bucket(notebook: Notebook) -> str:
    """``sagemaker-<region>-<account>``, made if it is missing, as the SDK's Session does."""
    s3, region = notebook.client("s3"), notebook.session.region_name
    account = notebook.client("sts").get_caller_identity()["Account"]
    bucket = f"sagemaker-{region}-{account}"
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        expect(error, "404")
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **where)
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    return bucket


def upload_records(s3: Any, bucket: str, key: str, records: Sequence[dict[str, Any]], separators: Any = None) -> str:
    """JSON lines into the bucket through a file, as both notebooks do; the URI."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.jsonl"
        file.write_text("".join(json.dumps(each, separators=separators) + "\n" for each in records), encoding="utf-8")
        s3.upload_file(str(file), bucket, key)
    return f"s3://{bucket}/{key}"


def split(records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Nine tenths to train with, the rest to test with."""
    tests = max(1, len(records) // 10)
    return records[:-tests], records[-tests:]


# what both end with ---------------------------------------------------------------------------------------------------


def deploy(notebook: Notebook, outcome: Outcome, description: str) -> None:
    bedrock = notebook.client("bedrock")
    outcome.deployment_arn = bedrock.create_custom_model_deployment(
        modelArn=outcome.model_arn,
        modelDeploymentName=f"nova-sql-deployment-{notebook.timestamp}",
        description=description,
    )["customModelDeploymentArn"]
    arn = outcome.deployment_arn
    notebook.poll(
        lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["status"],
        "Active",
        ("Failed",),
    )


def evaluate(notebook: Notebook, outcome: Outcome, tests: Sequence[dict[str, Any]]) -> None:
    """One answer; generated SQL before a judge; times, of the tuned model and of the base model."""
    arn = outcome.deployment_arn
    outcome.sql = _converse(notebook, arn, tests[0], {"maxTokens": 512, "temperature": 0.0})
    for test in tests[:3]:
        outcome.generated.append(_converse(notebook, arn, test, {"maxTokens": 300, "temperature": 0, "topP": 0.9}))
    outcome.judge_error = _judge(notebook, outcome.generated[0])
    outcome.output_tokens = _stream(notebook, arn, TIMED_SYSTEM, TIMED_QUESTION)
    for model in (arn, PROFILE):
        _stream(notebook, model, "You are a helpful assistant.", "What are the performance specs of a bmw x5m?")


def _converse(notebook: Notebook, model: str, record: dict[str, Any], config: dict[str, Any]) -> str:
    answer = notebook.client("bedrock-runtime").converse(
        modelId=model, system=record["system"], messages=record["messages"][:1], inferenceConfig=config
    )
    return str(answer["output"]["message"]["content"][0]["text"])


def _judge(notebook: Notebook, generated: str) -> str:
    """The notebooks grade with a model of another provider, which is not here; they take a failure as the score 0."""
    body = {
        "system": "",
        "messages": [{"role": "user", "content": f"<student_answer>{generated}</student_answer>"}],
        "max_tokens": 3000,
        "temperature": 0.7,
        "anthropic_version": "",
        "top_k": 250,
        "top_p": 0.7,
        "stop_sequences": ["\n\nHuman:"],
    }
    try:
        notebook.client("bedrock-runtime").invoke_model(
            body=json.dumps(body), modelId=JUDGE, accept="application/json", contentType="application/json"
        )
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def _stream(notebook: Notebook, model: str, system: str, question: str) -> int:
    """Output tokens; the notebooks time the first contentBlockDelta on the way."""
    tokens, began = 0, False
    response = notebook.client("bedrock-runtime").converse_stream(
        modelId=model,
        system=[{"text": system}],
        messages=[{"role": "user", "content": [{"text": question}]}],
        inferenceConfig={"maxTokens": 512, "temperature": 0},
    )
    for event in response["stream"]:
        began = began or "contentBlockDelta" in event
        tokens = event.get("metadata", {}).get("usage", {}).get("outputTokens", tokens)
    assert began
    return int(tokens)


def clean_up(notebook: Notebook, outcome: Outcome) -> None:
    """The deployment, then at once the model; afterwards neither is there."""
    bedrock = notebook.client("bedrock")
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=outcome.deployment_arn)
    bedrock.delete_custom_model(modelIdentifier=outcome.model_arn)
    for ask in (
        lambda: bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=outcome.deployment_arn),
        lambda: bedrock.get_custom_model(modelIdentifier=outcome.model_arn),
    ):
        try:
            ask()
        except bedrock.exceptions.ResourceNotFoundException:
            continue
        raise AssertionError("it is still there")


def expect(error: ClientError, code: str) -> None:
    if error.response["Error"]["Code"] != code:
        raise error


def record(system: str, user: str, assistant: str) -> dict[str, Any]:
    return {
        "system": [{"text": system}],
        "messages": [
            {"role": "user", "content": [{"text": user}]},
            {"role": "assistant", "content": [{"text": assistant}]},
        ],
    }


def trust(service: str, condition: dict[str, Any] | None = None) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return _policy(statement | ({"Condition": condition} if condition else {}))


def access(bucket: str, actions: list[str]) -> str:
    resources = [f"arn:aws:s3:::{bucket}/*", f"arn:aws:s3:::{bucket}"]
    return _policy({"Effect": "Allow", "Action": actions, "Resource": resources})


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
