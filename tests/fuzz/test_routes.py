"""Every route of the server, asked for sense and nonsense: never a fault of the server's, never a wait, and alive after.

``SQLORA_FUZZ=10000`` asks each so often: a quarter of the inputs is drawn, the others are those made wrong further.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from random import Random
from typing import Any

import pytest
from botocore.session import get_session
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sqlora.serve.own import PATHS
from tests.fuzz import mutate
from tests.fuzz.bend import bent
from tests.fuzz.shop import Shop
from tests.fuzz.valid import NOVA_BODY, chats, plain, requests
from tests.fuzz.wire import Answer, Asked, signed

INPUTS = int(os.environ.get("SQLORA_FUZZ", "40"))
EACH = 4  # inputs of an example
# All but to explain a failure: that traces every line of every example.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target, Phase.shrink)
CHECKED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None, "phases": PHASES}
SERVED: dict[str, tuple[str, ...]] = {
    "bedrock": (
        "CreateModelCustomizationJob", "GetModelCustomizationJob", "ListModelCustomizationJobs",
        "StopModelCustomizationJob", "CreateCustomModel", "GetCustomModel", "ListCustomModels",
        "CreateCustomModelDeployment", "GetCustomModelDeployment", "ListCustomModelDeployments",
        "UpdateCustomModelDeployment", "ListFoundationModels", "GetFoundationModel", "TagResource", "UntagResource",
        "ListTagsForResource", "CreateProvisionedModelThroughput", "GetProvisionedModelThroughput",
        "ListProvisionedModelThroughputs", "UpdateProvisionedModelThroughput", "DeleteProvisionedModelThroughput",
        "DeleteCustomModelDeployment", "DeleteCustomModel",
    ),
    "bedrock-runtime": (
        "Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "CountTokens", "ApplyGuardrail",
    ),
    "sagemaker": (
        "CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs", "StopTrainingJob", "AddTags", "ListTags",
        "DeleteTags",
    ),
    "service-quotas": (
        "GetServiceQuota", "GetAWSDefaultServiceQuota", "ListServiceQuotas", "ListAWSDefaultServiceQuotas",
        "RequestServiceQuotaIncrease", "GetRequestedServiceQuotaChange",
        "ListRequestedServiceQuotaChangeHistoryByQuota", "ListRequestedServiceQuotaChangeHistory",
    ),
}  # fmt: skip
# moto's; of its operations, those that notebooks use
EMULATED: dict[str, tuple[str, ...]] = {
    "s3": (
        "ListBuckets", "CreateBucket", "HeadBucket", "PutObject", "GetObject", "HeadObject", "DeleteObject",
        "ListObjectsV2", "CreateMultipartUpload", "CopyObject", "DeleteObjects", "GetBucketLocation",
    ),
    "iam": ("CreateRole", "GetRole", "ListRoles", "PutRolePolicy", "AttachRolePolicy", "DeleteRolePolicy", "DeleteRole"),
    "sts": ("GetCallerIdentity", "AssumeRole"),
}  # fmt: skip


def every(services: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(service, operation) for service, operations in services.items() for operation in operations]


def fuzz(shop: Shop, strategy: st.SearchStrategy[Asked], deliberate: Collection[int] = ()) -> None:
    """Ask for all that the strategy gives. ``deliberate``: statuses from 500 on that are documented."""

    @settings(max_examples=-(-INPUTS // EACH), **CHECKED)
    @given(strategy, st.integers(0, 2**32))
    def holds(asked: Asked, seed: int) -> None:
        dice = Random(seed)
        for one in (asked, *(bent(asked, dice) for _ in range(EACH - 1))):
            answer = shop.wire.ask(one)
            assert 200 <= answer.status < 500 or answer.status in deliberate, (one, answer)
            if answer.status >= 400 and one.method != "HEAD" and not for_moto(one):
                assert says_why(answer), (one, answer)

    holds()
    shop.alive()


def for_moto(asked: Asked) -> bool:
    """Whether it is signed for a service whose answers are not this server's."""
    return any(f"/{service}/aws4_request".encode() in value for service in EMULATED for _, value in asked.headers)


def says_why(answer: Answer) -> bool:
    """Whether an error has a message, in any protocol's form."""
    if "json" not in answer.headers.get("content-type", ""):
        return bool(answer.body) or answer.status == 405
    found = json.loads(answer.body)
    return bool(found.get("message") or found.get("error", {}).get("message") or found.get("detail"))


@pytest.mark.parametrize(("service", "operation"), every(SERVED))
def test_operations(shop: Shop, service: str, operation: str) -> None:
    fuzz(shop, requests(service, operation, shop.stock()))


@pytest.mark.parametrize(("service", "operation"), every(EMULATED))
def test_operations_of_moto(shop: Shop, service: str, operation: str) -> None:
    fuzz(shop, requests(service, operation, shop.stock()), deliberate=[501])


def test_no_operation_is_left_out(shop: Shop) -> None:
    """What is not fuzzed above is refused as not served, whatever it is asked with."""
    for service, served in SERVED.items():
        model = get_session().get_service_model(service)
        for name in sorted(set(model.operation_names)):
            http, headers = model.operation_model(name).http, signed(service)
            path = http["requestUri"].partition("?")[0].replace("+}", "}")
            for label in path.split("{")[1:]:
                path = path.replace("{" + label.partition("}")[0] + "}", "x")
            if model.metadata.get("targetPrefix"):
                headers += ((b"x-amz-target", f"{model.metadata['targetPrefix']}.{name}".encode()),)
            answer = shop.wire.ask(Asked(http["method"], path.encode(), headers, b"{}"))
            refused = b"sqlora does not serve" in answer.body
            assert refused == (name not in served), (name, answer)
    shop.alive()


def test_chat_completions(shop: Shop) -> None:
    fuzz(shop, chats(shop.stock()))


def test_openais_other_paths(shop: Shop) -> None:
    fuzz(shop, plain(("/v1/models", "/v1/models/retail-shop", "/v1/models/base", "/v1/completions", "/v1/chat")))


def test_own_paths(shop: Shop) -> None:
    fuzz(shop, plain(PATHS))


def test_unknown_paths(shop: Shop) -> None:
    fuzz(shop, plain(("/", "/model", "/model/x/y/z", "/favicon.ico", "/custom-models/a/b", "*", "/.sqlora/keys.secret")))


def test_bytes(shop: Shop) -> None:
    """Requests torn up on the wire: an answer that is no fault of the server's, or none."""
    converse = Asked("POST", b"/model/retail-shop/converse", signed("bedrock"), mutate.as_json(NOVA_BODY)).wire()
    chat = Asked("POST", b"/v1/chat/completions", ((b"authorization", b"Bearer x"),), b'{"model":"base"}').wire()
    listed = Asked("GET", b"/custom-models?maxResults=1", signed("bedrock"), b"").wire()
    whole = st.sampled_from([converse, chat, listed, converse + listed, listed * 3])

    @settings(max_examples=INPUTS, **CHECKED)
    @given(whole.flatmap(mutate.torn) | st.binary(max_size=200))
    def holds(data: bytes) -> None:
        answer = shop.wire.throw(data)
        assert answer.status < 500, answer

    holds()
    shop.alive()
