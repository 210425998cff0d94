"""Errors that any operation may have: a key without the scope, a damaged state, one that another process holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire import record
from tests.wire.calls import CALLS
from tests.wire.clients import call, code_of, refused
from tests.wire.live import records
from tests.wire.served import declared, served
from tests.wire.shop import Shop, open_shop

RUNTIME = "bedrock-runtime"
LOOKED_UP = (
    ("bedrock", "GetFoundationModel"),
    ("bedrock", "ListFoundationModels"),
    ("bedrock", "GetCustomModelDeployment"),
)
# They answer out of nothing but their own code.
STATELESS = (
    ("bedrock", "ListFoundationModels"),
    ("bedrock", "GetFoundationModel"),
    *(each for each in CALLS if "Provisioned" in each[1]),
    (RUNTIME, "ApplyGuardrail"),
    ("service-quotas", "GetAWSDefaultServiceQuota"),
    ("service-quotas", "ListAWSDefaultServiceQuotas"),
)


def test_every_operation_has_its_call_here() -> None:
    assert set(CALLS) == set(served())


# scopes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shop]]:
    """One server, for the holders of a key that may invoke, train, or all."""
    with open_shop(tmp_path_factory.mktemp("guarded")) as made:
        keys = made.live.backend.state.keys
        new = {scope: keys.create(scope, frozenset({scope})) for scope in ("invoke", "train", "admin")}
        yield {scope: Shop(made.live, key.id, key.secret_access_key) for scope, key in new.items()}


@pytest.mark.parametrize("key", CALLS, ids="-".join)
def test_a_key_without_the_scope(guarded: dict[str, Shop], key: tuple[str, str]) -> None:
    service, operation = key
    wrong, right = ("train", "invoke") if service == RUNTIME else ("invoke", "train")
    if key not in LOOKED_UP:
        code, message = refused(guarded[wrong].client(service), operation, **CALLS[key])
        assert code == "AccessDeniedException"
        assert right in message
    for scope in (right, "admin") if key not in LOOKED_UP else ("invoke", "train", "admin"):
        assert outcome(guarded[scope].client(service), operation, CALLS[key]) not in (
            "AccessDeniedException",
            "InternalServerException",
        )


def outcome(client: Any, operation: str, params: dict[str, Any]) -> str:
    """The error's code, or that it went well."""
    try:
        call(client, operation, **params)
    except client.exceptions.ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return record.OK


# faults of the server's own -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server whose database has lost every table but that of the keys."""
    with open_shop(tmp_path_factory.mktemp("broken")) as made:
        state = made.live.backend.state
        tables = [row["name"] for row in state.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        lost = [name for name in tables if name != "api_keys" and not name.startswith("sqlite_")]
        state.execute("PRAGMA foreign_keys = OFF")
        for name in lost:
            state.execute(f"ALTER TABLE {name} RENAME TO lost_{name}")
        yield made
        for name in lost:
            state.execute(f"ALTER TABLE lost_{name} RENAME TO {name}")


@pytest.mark.parametrize("key", [each for each in CALLS if each not in STATELESS], ids="-".join)
def test_a_damaged_state_is_the_servers_fault_and_says_nothing_of_it(broken: Shop, key: tuple[str, str]) -> None:
    service, operation = key
    params = {**CALLS[key]}
    code, message = refused(broken.client(service), operation, **params)
    assert code in ("InternalServerException", "ServiceException", "InternalFailure")
    assert code in declared(service, operation) or service == "sagemaker"
    for secret in ("sqlite", "no such table", str(broken.live.folder)):
        assert secret not in message


def test_openai_too(broken: Shop) -> None:
    import openai

    for ask in (
        lambda: broken.openai.models.list(),
        lambda: broken.openai.models.retrieve("retail"),
        lambda: broken.openai.chat.completions.create(model="retail", messages=[{"role": "user", "content": "?"}]),
    ):
        with pytest.raises(openai.InternalServerError) as caught:
            ask()
        assert "table" not in str(caught.value)


# a state that another process holds -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, dict[str, str]]]:
    """A server that waits no more than a moment for another process to have written, and what there is on it."""
    with open_shop(tmp_path_factory.mktemp("busy")) as made:
        gone = {"s3Uri": made.put("seven.jsonl", records(7))}
        there = {
            "job": made.job("busy", trainingDataConfig=gone),
            "model": made.model("busy"),
            "training": made.training_job("busy-trains"),
        }
        there["unused"] = made.model("unused")
        there["deployment"] = made.active("busy", there["model"])
        made.ended(there["job"])
        made.trained("busy-trains")
        waits = "busy-waits"
        there["running"] = made.job(waits, customModelName=waits)
        made.live.at_work(there["running"][-12:])
        made.live.backend.state.execute("PRAGMA busy_timeout = 20")
        yield made, there
        made.live.let_go(there["running"][-12:])


WRITES: tuple[tuple[tuple[str, str], dict[str, str]], ...] = (
    (("bedrock", "CreateModelCustomizationJob"), {}),
    (("bedrock", "StopModelCustomizationJob"), {"jobIdentifier": "running"}),
    (("bedrock", "CreateCustomModel"), {}),
    (("bedrock", "DeleteCustomModel"), {"modelIdentifier": "unused"}),
    (("bedrock", "CreateCustomModelDeployment"), {"modelArn": "model"}),
    (
        ("bedrock", "UpdateCustomModelDeployment"),
        {"customModelDeploymentIdentifier": "deployment", "modelArn": "model"},
    ),
    (("bedrock", "DeleteCustomModelDeployment"), {"customModelDeploymentIdentifier": "deployment"}),
    (("bedrock", "TagResource"), {"resourceARN": "model"}),
    (("bedrock", "UntagResource"), {"resourceARN": "model"}),
    (("bedrock", "ListModelCustomizationJobs"), {}),
    (("bedrock", "ListCustomModels"), {}),
    (("sagemaker", "CreateTrainingJob"), {}),
    (("sagemaker", "ListTrainingJobs"), {}),
    (("sagemaker", "AddTags"), {"ResourceArn": "training"}),
    (("sagemaker", "DeleteTags"), {"ResourceArn": "training"}),
    (("service-quotas", "RequestServiceQuotaIncrease"), {}),
)


@pytest.mark.parametrize(("key", "names"), WRITES, ids=[key[1] for key, _ in WRITES])
def test_what_must_write_while_another_process_does(
    busy: tuple[Shop, dict[str, str]], key: tuple[str, str], names: dict[str, str]
) -> None:
    shop, there = busy
    params = {**CALLS[key], **{member: there[name] for member, name in names.items()}}
    other = sqlite3.connect(shop.live.backend.state.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        code = code_of(shop.client(key[0]), key[1], **params)
    finally:
        other.rollback()
        other.close()
    assert code == ("TooManyRequestsException" if key[0] == "service-quotas" else "ThrottlingException")


def test_what_only_reads_goes_on(busy: tuple[Shop, dict[str, str]]) -> None:
    shop, there = busy
    other = sqlite3.connect(shop.live.backend.state.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert shop.bedrock.get_custom_model(modelIdentifier=there["model"])["modelStatus"] == "Active"
        arn = there["deployment"]
        assert shop.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)["status"] == "Active"
    finally:
        other.rollback()
        other.close()
