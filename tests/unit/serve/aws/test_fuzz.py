"""Whatever comes over the wire: an answer of the service, never a fault of the server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlora.errors import NotFoundError
from sqlora.platform.keys import Keys
from sqlora.platform.state import State
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.aws.api import AwsApi
from sqlora.serve.aws.call import Call, Handler
from sqlora.serve.aws.model import service
from tests.unit.serve.auth.signing import signed

SAGEMAKER = ("CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs", "StopTrainingJob", "AddTags")
OPERATIONS = [
    (name, operation)
    for name in ("bedrock", "bedrock-runtime", "service-quotas")
    for operation in service(name).model.operation_names
] + [("sagemaker", name) for name in SAGEMAKER]
TEXT = st.text(max_size=20) | st.sampled_from(
    ["", "..", "%2F", "%FF", "\x00", "a" * 3000, "arn:aws:bedrock:::", "café"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def nothing(call: Call) -> dict[str, Any]:
    raise NotFoundError("there is nothing here")


async def ask(api: AwsApi, scope: dict[str, Any], body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await api(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])


@st.composite
def requests(draw: Any) -> tuple[str, str, str, bytes, dict[str, str]]:
    """Service signed for, method, path with query, body, headers: an operation's, with anything wrong about it."""
    name, operation = draw(st.sampled_from(OPERATIONS))
    found = service(name)
    model = found.operation(operation)
    members = model.input_shape.members if model.input_shape else {}
    some = (st.sampled_from(list(members)) if members else TEXT) | TEXT
    path = draw(st.just(model.http["requestUri"]) | TEXT.map(lambda text: "/" + text))
    path = "/".join(draw(TEXT) if part.startswith("{") else part for part in path.split("/"))
    query = "&".join(f"{key}={value}" for key, value in draw(st.dictionaries(some, TEXT, max_size=3)).items())
    document = draw(st.dictionaries(some, JSON, max_size=4))
    body = draw(st.just(json.dumps(document).encode()) | st.binary(max_size=20))
    target = draw(st.just(f"{found.target_prefix}.{operation}") | TEXT) if found.protocol == "json" else None
    method = draw(st.just(model.http["method"]) | st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"]))
    headers = {"X-Amz-Target": target} if target is not None else {}
    return found.signing_name, method, f"{path}?{query}", body, headers


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=requests(), authorization=st.just(None) | st.binary(max_size=40) | st.just(b"Bearer x"))
def test_no_request_is_a_fault_of_the_server(
    tmp_path: Path, asked: tuple[str, str, str, bytes, dict[str, str]], authorization: bytes | None
) -> None:
    signed_as, method, target, body, headers = asked
    handlers: dict[tuple[str, str], Handler] = dict.fromkeys(OPERATIONS, nothing)
    scope = signed(method, "/", body, service=signed_as)
    path, _, query = target.encode(errors="replace").partition(b"?")
    scope |= {"raw_path": path, "query_string": query}
    scope["headers"] += [(name.lower().encode(), value.encode(errors="replace")) for name, value in headers.items()]
    if authorization is not None:
        others = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
        scope["headers"] = [*others, (b"authorization", authorization)]
    with State(tmp_path / "state.db") as state:
        status, sent, answer = asyncio.run(ask(AwsApi(handlers, Authenticate(Keys(state), True)), scope, body))
    assert 400 <= status < 500, answer
    assert sent[b"x-amzn-requestid"]
    assert json.loads(answer)["message"]
