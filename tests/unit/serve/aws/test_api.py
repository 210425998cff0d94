"""The AWS services over HTTP: unmodified boto3 against toy handlers, every answer before the judge."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, EventStreamError

from sqlora.errors import (
    BusyError,
    ConfigError,
    ConflictError,
    ContextError,
    DatasetError,
    ModelError,
    NotFoundError,
    SqloraError,
)
from sqlora.platform.keys import Keys
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.aws.api import AwsApi
from sqlora.serve.aws.call import AwsError, Call, EventStream, Handler
from tests.unit.serve.aws.running import client, running, self_signed
from tests.wire.judge import validate_event

DEPLOYMENT = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefgh1234"
MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/abcdefgh1234"
AT = datetime(2026, 4, 16, 18, 15, 35, 744000, UTC)
ASK = {"modelId": DEPLOYMENT, "messages": [{"role": "user", "content": [{"text": "How many Köln orders?"}]}]}


@contextmanager
def serving(
    keys: Keys, handlers: Mapping[tuple[str, str], Handler], loopback: bool = True, fallback: Any = None
) -> Iterator[str]:
    with running(AwsApi(handlers, Authenticate(keys, loopback), fallback)) as url:
        yield url


def failing(error: BaseException) -> Handler:
    def handler(call: Call) -> dict[str, Any]:
        raise error

    return handler


def refused(operation: Any, **params: Any) -> dict[str, Any]:
    """The error that boto3 raises: code, message, status."""
    with pytest.raises(ClientError) as caught:
        operation(**params)
    response = caught.value.response
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


# rest-json ------------------------------------------------------------------------------------------------------------


def test_a_handler_gets_checked_parameters_of_path_query_and_body_and_answers_by_the_model(keys: Keys) -> None:
    calls: list[Call] = []

    def create(call: Call) -> dict[str, Any]:
        calls.append(call)
        return {"customModelDeploymentArn": DEPLOYMENT}

    async def get(call: Call) -> dict[str, Any]:
        calls.append(call)
        return {
            "customModelDeploymentArn": DEPLOYMENT,
            "modelDeploymentName": "larkql",
            "modelArn": MODEL,
            "createdAt": AT,
            "lastUpdatedAt": "2026-04-16T18:15:35.744Z",
            "status": "Active",
            "failureMessage": None,
        }

    def listed(call: Call) -> dict[str, Any]:
        calls.append(call)
        return {"modelDeploymentSummaries": [], "nextToken": "more"}

    handlers: dict[tuple[str, str], Handler] = {
        ("bedrock", "CreateCustomModelDeployment"): create,
        ("bedrock", "GetCustomModelDeployment"): get,
        ("bedrock", "ListCustomModelDeployments"): listed,
    }
    with serving(keys, handlers) as url:
        bedrock = client("bedrock", url)
        made = bedrock.create_custom_model_deployment(
            modelDeploymentName="larkql", modelArn=MODEL, tags=[{"key": "team", "value": "sales"}]
        )
        got = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=DEPLOYMENT)
        page = bedrock.list_custom_model_deployments(createdAfter=AT, maxResults=7, statusEquals="Active")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert made["ResponseMetadata"]["RequestId"] == calls[0].request_id
    assert calls[0].params["tags"] == [{"key": "team", "value": "sales"}]
    assert calls[0].params["clientRequestToken"]  # which the SDK made
    assert (calls[0].service, calls[0].operation, calls[0].region) == (
        "bedrock", "CreateCustomModelDeployment", "eu-central-1",
    )  # fmt: skip
    assert calls[0].identity.caller == "AKIDEXAMPLE"
    assert calls[0].headers["x-amz-date"]
    assert "authorization" not in calls[0].headers
    assert calls[1].params == {"customModelDeploymentIdentifier": DEPLOYMENT}
    assert got["createdAt"] == got["lastUpdatedAt"] == AT
    assert "failureMessage" not in got
    assert calls[2].params == {"createdAfter": AT, "maxResults": 7, "statusEquals": "Active"}
    assert page["nextToken"] == "more"


def test_everything_wrong_with_the_parameters_is_said_at_once_as_the_service_says_it(keys: Keys) -> None:
    with serving(keys, {("bedrock", "CreateCustomModelDeployment"): lambda call: {}}) as url:
        error = refused(
            client("bedrock", url).create_custom_model_deployment,
            modelDeploymentName="not a name",
            modelArn="arn",
            description="",
        )
    assert (error["Code"], error["Status"]) == ("ValidationException", 400)
    assert error["Message"].startswith(
        "4 validation errors detected: Value 'not a name' at 'modelDeploymentName' failed"
    )
    assert "Member must satisfy regular expression pattern: ([0-9a-zA-Z][_-]?){1,63}" in error["Message"]
    assert (
        "Value 'arn' at 'modelArn' failed to satisfy constraint: Member must have length greater than"
        in error["Message"]
    )
    assert (
        "at 'description' failed to satisfy constraint: Member must have length greater than or equal to 1"
        in error["Message"]
    )


def test_an_operation_without_a_handler_is_refused_by_name(keys: Keys) -> None:
    with serving(keys, {}) as url:
        error = refused(client("bedrock", url).list_guardrails)
        assert (error["Code"], error["Status"]) == ("UnknownOperationException", 404)
        assert error["Message"] == "sqlora does not serve bedrock ListGuardrails."
        assert raw(url, "POST", "/no/such/path", headers=BEARER)[0] == 404


def test_a_handler_of_an_operation_that_does_not_exist_is_a_mistake_seen_at_once(keys: Keys) -> None:
    with pytest.raises(ValueError, match="bedrock has no operation GetCustomModell"):
        AwsApi({("bedrock", "GetCustomModell"): lambda call: {}}, Authenticate(keys, True))


@pytest.mark.parametrize(
    ("error", "service", "operation", "code", "status"),
    [
        (NotFoundError("no"), "bedrock", "GetCustomModel", "ResourceNotFoundException", 404),
        (NotFoundError("no"), "bedrock", "ListCustomModels", "ValidationException", 400),
        (ConflictError("no"), "bedrock", "DeleteCustomModel", "ConflictException", 400),
        (ConflictError("no"), "bedrock", "CreateCustomModelDeployment", "ValidationException", 400),
        (BusyError("no"), "bedrock", "GetCustomModel", "ThrottlingException", 429),
        (ConfigError("no"), "bedrock", "GetCustomModel", "ValidationException", 400),
        (DatasetError("no"), "bedrock", "GetCustomModel", "ValidationException", 400),
        (ContextError("no"), "bedrock-runtime", "Converse", "ValidationException", 400),
        (ModelError("no"), "bedrock-runtime", "Converse", "ModelErrorException", 424),
        (AwsError("ModelNotReadyException", "no"), "bedrock-runtime", "Converse", "ModelNotReadyException", 429),
        (AwsError("TeapotException", "no", 418), "bedrock", "GetCustomModel", "ValidationException", 400),
        (NotFoundError("no"), "sagemaker", "DescribeTrainingJob", "ResourceNotFound", 400),
        (ConflictError("no"), "sagemaker", "CreateTrainingJob", "ResourceInUse", 400),
        (ConfigError("no"), "sagemaker", "CreateTrainingJob", "ValidationException", 400),
        (NotFoundError("no"), "service-quotas", "GetServiceQuota", "NoSuchResourceException", 400),
        (ConfigError("no"), "service-quotas", "GetServiceQuota", "IllegalArgumentException", 400),
        (BusyError("no"), "service-quotas", "GetServiceQuota", "TooManyRequestsException", 400),
    ],
)  # fmt: skip
def test_the_table_of_errors(
    keys: Keys, error: Exception, service: str, operation: str, code: str, status: int
) -> None:
    sent = translated(error, service, operation)
    assert (sent.code, sent.status, sent.message) == (code, status, "no")


def translated(error: BaseException, service: str, operation: str) -> AwsError:
    from sqlora.serve.aws import errors, model

    return errors.translate(error, model.service(service).operation(operation), "request-1")


def test_an_error_of_sqlora_keeps_its_next_step() -> None:
    sent = translated(
        NotFoundError("no deployment 'x'", "sqlora deployments list"), "bedrock", "GetCustomModelDeployment"
    )
    assert sent.message == "no deployment 'x' (next: sqlora deployments list)"


def test_a_fault_of_the_server_is_told_by_its_request_id_and_logged_with_its_traceback(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(keys, {("bedrock", "GetCustomModel"): failing(ZeroDivisionError("of secret things"))}) as url:
        error = refused(client("bedrock", url).get_custom_model, modelIdentifier="larkql")
    assert (error["Code"], error["Status"]) == ("InternalServerException", 500)
    assert "secret things" not in error["Message"]
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.levelno == logging.ERROR
    assert record.getMessage().split()[1] in error["Message"]


def test_an_output_that_the_model_does_not_allow_is_never_sent_as_a_success(keys: Keys) -> None:
    with serving(keys, {("bedrock", "GetCustomModel"): lambda call: {"modelName": "larkql"}}) as url:
        assert refused(client("bedrock", url).get_custom_model, modelIdentifier="larkql")["Status"] == 500


def test_a_plain_function_runs_in_a_worker_thread_and_a_coroutine_on_the_loop(keys: Keys) -> None:
    threads: dict[str, str] = {}

    def plain(call: Call) -> dict[str, Any]:
        threads["plain"] = threading.current_thread().name
        return {"tags": []}

    async def coroutine(call: Call) -> dict[str, Any]:
        threads["coroutine"] = threading.current_thread().name
        return {"modelSummaries": []}

    with serving(keys, {("bedrock", "ListTagsForResource"): plain, ("bedrock", "ListCustomModels"): coroutine}) as url:
        client("bedrock", url).list_tags_for_resource(resourceARN=MODEL)
        client("bedrock", url).list_custom_models()
    assert "worker" in threads["plain"].lower()
    assert threads["plain"] != threads["coroutine"]


# the runtime ----------------------------------------------------------------------------------------------------------


def answer(call: Call) -> dict[str, Any]:
    text = call.params["messages"][0]["content"][0]["text"]
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": f"SELECT '{text}'"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        "metrics": {"latencyMs": 4},
    }


def test_converse(keys: Keys) -> None:
    with serving(keys, {("bedrock-runtime", "Converse"): answer}) as url:
        got = client("bedrock-runtime", url).converse(**ASK)
    assert got["output"]["message"]["content"] == [{"text": "SELECT 'How many Köln orders?'"}]


def test_invoke_model_passes_bodies_through_untouched_and_takes_headers_of_the_handler(keys: Keys) -> None:
    def echo(call: Call) -> dict[str, Any]:
        call.response_headers["X-Amzn-Bedrock-Input-Token-Count"] = "12"
        assert call.params["accept"] == "application/json"
        return {"body": bytes(reversed(call.params["body"])), "contentType": "application/json"}

    with serving(keys, {("bedrock-runtime", "InvokeModel"): echo}) as url:
        got = client("bedrock-runtime", url).invoke_model(modelId="base", body=b"\x00\xff{}", accept="application/json")
        assert got["body"].read() == b"}{\xff\x00"
    assert got["contentType"] == "application/json"
    assert got["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"] == "12"


def events(*pieces: Any) -> Handler:
    """A stream of the pieces; an exception among them is raised there."""

    async def pieces_in_turn() -> AsyncIterator[tuple[str, dict[str, Any]]]:
        for piece in pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    return lambda call: EventStream(pieces_in_turn())


START = ("messageStart", {"role": "assistant"})
TEXT = ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "SELECT 'Köln'"}})
STOP = ("messageStop", {"stopReason": "end_turn"})


def test_converse_stream(keys: Keys) -> None:
    with serving(keys, {("bedrock-runtime", "ConverseStream"): events(START, TEXT, STOP)}) as url:
        got = list(client("bedrock-runtime", url).converse_stream(**ASK)["stream"])
    assert got == [{name: members} for name, members in (START, TEXT, STOP)]
    for event in got:
        validate_event("bedrock-runtime", "ConverseStream", event)


def test_invoke_with_response_stream_sends_chunks_and_the_content_type_as_a_header(keys: Keys) -> None:
    async def chunks() -> AsyncIterator[tuple[str, dict[str, Any]]]:
        yield "chunk", {"bytes": b'{"messageStart": {}}'}

    def handler(call: Call) -> EventStream:
        return EventStream(chunks(), {"contentType": "application/json"})

    with serving(keys, {("bedrock-runtime", "InvokeModelWithResponseStream"): handler}) as url:
        got = client("bedrock-runtime", url).invoke_model_with_response_stream(modelId="base", body=b"{}")
        assert list(got["body"]) == [{"chunk": {"bytes": b'{"messageStart": {}}'}}]
    assert got["contentType"] == "application/json"


def test_a_stream_that_fails_before_its_first_event_is_an_ordinary_error(keys: Keys) -> None:
    with serving(keys, {("bedrock-runtime", "ConverseStream"): events(BusyError("queue is full"))}) as url:
        error = refused(client("bedrock-runtime", url).converse_stream, **ASK)
    assert (error["Code"], error["Status"], error["Message"]) == ("ThrottlingException", 429, "queue is full")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("the adapter is gone"), "modelStreamErrorException"),
        (BusyError("the adapter is gone"), "throttlingException"),
        (NotFoundError("the adapter is gone"), "validationException"),
        (AwsError("ModelStreamErrorException", "the adapter is gone"), "modelStreamErrorException"),
        (KeyError("something"), "internalServerException"),
        (AwsError("ServiceUnavailableException", "the adapter is gone"), "serviceUnavailableException"),
    ],
)
def test_a_stream_that_fails_later_ends_with_an_exception_frame(keys: Keys, error: SqloraError, code: str) -> None:
    with (
        serving(keys, {("bedrock-runtime", "ConverseStream"): events(START, error)}) as url,
        closing(client("bedrock-runtime", url).converse_stream(**ASK)["stream"]) as stream,
    ):
        got = iter(stream)
        assert next(got) == {"messageStart": {"role": "assistant"}}
        with pytest.raises(EventStreamError) as caught:
            next(got)
    assert caught.value.response["Error"]["Code"] == code
    if not isinstance(error, KeyError):
        assert caught.value.response["Error"]["Message"] == "the adapter is gone"


def test_a_client_that_goes_away_amid_a_stream_cancels_the_handler(keys: Keys) -> None:
    ended = threading.Event()

    async def endless(call: Call) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        try:
            yield START
            while not await call.disconnected():
                yield TEXT
                await asyncio.sleep(0)
        finally:
            ended.set()

    with serving(keys, {("bedrock-runtime", "ConverseStream"): lambda call: EventStream(endless(call))}) as url:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
            connection.request("POST", "/model/base/converse-stream", json.dumps({"messages": []}), BEARER)
            with connection.getresponse() as response:
                assert b"messageStart" in response.read(100)
        assert ended.wait(60)


def test_a_client_that_goes_away_before_its_answer_cancels_the_handler(keys: Keys) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def slow(call: Call) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return {}

    with serving(keys, {("bedrock-runtime", "Converse"): slow}) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        connection.request("POST", "/model/base/converse", json.dumps({"messages": []}), BEARER)
        assert begun.wait(60)
        connection.close()
        assert cancelled.wait(60)


# json 1.1 -------------------------------------------------------------------------------------------------------------

TRAINING = {
    "TrainingJobName": "larkql-1",
    "RoleArn": "arn:aws:iam::123456789012:role/SageMaker",
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
}


def test_sagemaker(keys: Keys) -> None:
    calls: list[Call] = []

    def listed(call: Call) -> dict[str, Any]:
        calls.append(call)
        job = {"TrainingJobName": "larkql-1", "CreationTime": AT, "TrainingJobStatus": "InProgress"}
        return {"TrainingJobSummaries": [{**job, "TrainingJobArn": "arn:aws:sagemaker:eu-central-1:123456789012:training-job/larkql-1"}]}  # fmt: skip

    handlers: dict[tuple[str, str], Handler] = {
        ("sagemaker", "ListTrainingJobs"): listed,
        ("sagemaker", "CreateTrainingJob"): failing(ConflictError("a job of that name exists")),
    }
    with serving(keys, handlers) as url:
        sagemaker = client("sagemaker", url)
        page = sagemaker.list_training_jobs(CreationTimeAfter=AT, MaxResults=5)
        error = refused(sagemaker.create_training_job, **TRAINING)
        invalid = refused(sagemaker.create_training_job, **{**TRAINING, "TrainingJobName": "-"})
    assert calls[0].params == {"CreationTimeAfter": AT, "MaxResults": 5}
    assert page["TrainingJobSummaries"][0]["CreationTime"] == AT
    assert error == {"Code": "ResourceInUse", "Message": "a job of that name exists", "Status": 400}
    assert "at 'TrainingJobName' failed to satisfy constraint: Member must satisfy regular" in invalid["Message"]


def test_service_quotas(keys: Keys) -> None:
    def request(call: Call) -> dict[str, Any]:
        return {
            "RequestedQuota": {"Id": "abcd", "QuotaCode": call.params["QuotaCode"], "Created": AT, "DesiredValue": 1.0}
        }

    handlers: dict[tuple[str, str], Handler] = {
        ("service-quotas", "RequestServiceQuotaIncrease"): request,
        ("service-quotas", "GetServiceQuota"): failing(NotFoundError("no value was ever applied")),
    }
    with serving(keys, handlers) as url:
        quotas = client("service-quotas", url)
        made = quotas.request_service_quota_increase(ServiceCode="sagemaker", QuotaCode="L-6BC98A55", DesiredValue=1)
        error = refused(quotas.get_service_quota, ServiceCode="sagemaker", QuotaCode="L-6BC98A55")
    assert made["RequestedQuota"]["Created"] == AT
    assert error["Code"] == "NoSuchResourceException"


# what is no SDK's request ---------------------------------------------------------------------------------------------

BEARER = {"Authorization": "Bearer anything"}


def raw(
    url: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


@pytest.mark.parametrize(
    "path", [f"/model/{DEPLOYMENT.replace('/', '%2F')}/converse", "/model/amazon.nova-micro-v1:0/converse"]
)
def test_colons_in_a_path_may_be_plain(keys: Keys, path: str) -> None:
    with serving(keys, {("bedrock-runtime", "Converse"): answer}) as url:
        status, headers, body = raw(url, "POST", path, json.dumps(ASK).encode(), BEARER)
    assert status == 200
    assert headers["x-amzn-requestid"]
    assert json.loads(body)["stopReason"] == "end_turn"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"messages": NaN}', "SerializationException"),
        (b"\xff", "SerializationException"),
        (b'{"messages": "\xed\xa0\x80"}', "SerializationException"),
        (b'{"messages": ' + b"[" * 100_000, "SerializationException"),
        (b'{"messages": 1}', "ValidationException"),
        (b'{"inferenceConfig": {"temperature": 1e999}}', "ValidationException"),
        (b'{"messages": [null]}', "ValidationException"),
    ],
)
def test_bodies_that_are_refused(keys: Keys, body: bytes, code: str) -> None:
    with serving(keys, {("bedrock-runtime", "Converse"): answer}) as url:
        status, headers, sent = raw(url, "POST", "/model/base/converse", body, BEARER)
    assert (status, headers["x-amzn-errortype"]) == (400, code)
    assert set(json.loads(sent)) == {"message"}


def test_a_body_over_the_limit_is_refused(keys: Keys) -> None:
    with serving(keys, {("bedrock", "TagResource"): lambda call: {}}) as url:
        status, headers, _ = raw(url, "POST", "/tagResource", b" " * 1_000_001, BEARER)
    assert (status, headers["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")


def test_errors_of_a_target_nobody_knows_are_in_json_1_1(keys: Keys) -> None:
    with serving(keys, {}) as url:
        status, headers, body = raw(url, "POST", "/", b"{}", {"X-Amz-Target": "SageMaker.Fly", **BEARER})
    assert (status, headers["content-type"]) == (404, "application/x-amz-json-1.1")
    assert json.loads(body)["__type"] == "UnknownOperationException"


# keys -----------------------------------------------------------------------------------------------------------------


def test_with_keys_only_their_signatures_open_and_only_what_their_scopes_say(keys: Keys) -> None:
    new = keys.create("notebook", frozenset({"invoke"}))
    handlers: dict[tuple[str, str], Handler] = {
        ("bedrock-runtime", "Converse"): answer,
        ("bedrock", "ListCustomModels"): lambda call: {"modelSummaries": []},
        ("bedrock", "ListFoundationModels"): lambda call: {"modelSummaries": []},
    }
    with serving(keys, handlers) as url:
        runtime = client("bedrock-runtime", url, new.id, new.secret_access_key)
        assert runtime.converse(**ASK)["stopReason"] == "end_turn"
        bedrock = client("bedrock", url, new.id, new.secret_access_key)
        assert bedrock.list_foundation_models(byProvider="Amazon")["modelSummaries"] == []
        denied = refused(bedrock.list_custom_models)
        wrong = refused(client("bedrock-runtime", url, new.id, "another secret").converse, **ASK)
        unknown = refused(client("bedrock-runtime", url).converse, **ASK)
        bearer = raw(url, "GET", "/foundation-models", headers={"Authorization": f"Bearer {new.bearer_token}"})
        missing = raw(url, "GET", "/foundation-models")
    assert (denied["Code"], denied["Status"]) == ("AccessDeniedException", 403)
    assert "needs the scope admin or train and has invoke" in denied["Message"]
    assert (wrong["Code"], wrong["Status"]) == ("InvalidSignatureException", 403)
    assert (unknown["Code"], unknown["Status"]) == ("UnrecognizedClientException", 403)
    assert bearer[0] == 200
    assert (missing[0], missing[1]["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


def test_boto3_over_tls_with_a_bearer_token_which_it_sends_no_other_way(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new = keys.create("notebook", frozenset({"invoke"}))
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", new.bearer_token)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    api = AwsApi({("bedrock-runtime", "Converse"): answer}, Authenticate(keys, True))
    with running(api, certificate) as url:
        assert client("bedrock-runtime", url).converse(**ASK)["stopReason"] == "end_turn"


def test_boto3_over_tls_lets_the_body_of_an_object_go_unsigned(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new = keys.create("trainer", frozenset({"train"}))
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    bodies = Bodies()
    with running(AwsApi({}, Authenticate(keys, True), bodies), certificate) as url:
        s3 = client("s3", url, new.id, new.secret_access_key, s3={"addressing_style": "path"})
        s3.put_object(Bucket="larkspur", Key="k", Body=io.BytesIO(b"x" * 10))
        s3.close()  # the end of a TLS connection takes both sides
    assert b"x" * 10 in bodies.kept[0]  # chunks and a checksum are around it


def test_a_handlers_headers_are_not_sent_with_its_error(keys: Keys) -> None:
    def handler(call: Call) -> dict[str, Any]:
        call.response_headers["x-tokens"] = "12"
        raise NotFoundError("no")

    with serving(keys, {("bedrock-runtime", "Converse"): handler}) as url:
        status, headers, _ = raw(url, "POST", "/model/base/converse", b"{}", BEARER)
    assert (status, headers.get("x-tokens")) == (404, None)
    assert headers["x-amzn-requestid"]


def test_nothing_secret_is_logged(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sqlora")
    new = keys.create("notebook", frozenset({"invoke"}))
    with serving(keys, {("bedrock-runtime", "Converse"): failing(ModelError("gone"))}) as url:
        refused(client("bedrock-runtime", url, new.id, new.secret_access_key).converse, **ASK)
        raw(url, "GET", "/foundation-models", headers={"Authorization": f"Bearer {new.bearer_token}x"})
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("sqlora"))
    assert "ModelErrorException" in logged
    assert "UnrecognizedClientException" in logged
    for secret in (new.secret_access_key, new.bearer_token, "Signature=", "Köln"):
        assert secret not in logged


# S3, IAM, STS ---------------------------------------------------------------------------------------------------------


class Bodies:
    """An app that keeps the bodies it could read to their end, and answers as S3 and STS do."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.kept.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/xml")]})
        await send({"type": "http.response.body", "body": b"<R><GetCallerIdentityResult/></R>"})


def test_other_services_go_to_the_fallback_once_their_caller_is_known(keys: Keys) -> None:
    new = keys.create("trainer", frozenset({"train"}))
    other = keys.create("asker", frozenset({"invoke"}))
    bodies = Bodies()
    with serving(keys, {}, fallback=bodies) as url:
        path_style = {"s3": {"addressing_style": "path"}}
        s3 = client("s3", url, new.id, new.secret_access_key, **path_style)
        s3.put_object(Bucket="larkspur", Key="a (1)/ü+x.jsonl", Body=b"x" * 300_000)
        client("sts", url, new.id, new.secret_access_key).get_caller_identity()
        denied = refused(client("s3", url, other.id, other.secret_access_key, **path_style).get_object, Bucket="b", Key="k")  # fmt: skip
        unknown = refused(client("sts", url).get_caller_identity)
        link = s3.generate_presigned_url("get_object", {"Bucket": "larkspur", "Key": "ü"})
        assert raw(url, "GET", link.removeprefix(url))[0] == 200
        assert raw(url, "GET", link.removeprefix(url) + "&versionId=2")[0] == 403
    assert [len(body) for body in bodies.kept] == [300_000, len(bodies.kept[1]), 0]
    assert b"GetCallerIdentity" in bodies.kept[1]
    assert (denied["Code"], denied["Status"]) == ("AccessDeniedException", 403)
    assert unknown["Code"] == "UnrecognizedClientException"


def test_an_object_that_is_not_the_one_signed_for_is_not_taken(keys: Keys) -> None:
    new = keys.create("trainer", frozenset({"train"}))
    bodies = Bodies()
    with serving(keys, {}, fallback=bodies) as url:
        s3 = client("s3", url, new.id, new.secret_access_key, s3={"addressing_style": "path"})

        def changed(request: Any, **others: Any) -> None:
            request.body = b"y" * 10

        s3.meta.events.register_last("before-send.s3.PutObject", changed)
        error = refused(s3.put_object, Bucket="larkspur", Key="k", Body=b"x" * 10)
    assert (error["Code"], error["Status"]) == ("XAmzContentSHA256Mismatch", 400)
    assert bodies.kept == []


def test_without_a_fallback_other_services_are_refused(keys: Keys) -> None:
    with serving(keys, {}) as url:
        assert refused(client("sts", url).get_caller_identity)["Code"] == "UnknownOperationException"
