"""Bedrock's runtime: Converse and InvokeModel, whole and in events, over `Answering`.

What a small text model cannot do (images, tools, guardrails, documents) is refused in one sentence each, before
anything is computed.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool

from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import ConflictError, ModelError, NotFoundError
from sqlora.serve.answering import StoppingError
from sqlora.serve.aws.call import Answer, AwsError, Call, EventStream, Handler
from sqlora.serve.bedrock import nova
from sqlora.serve.bedrock.messages import conversation, invalid
from sqlora.serve.bedrock.pointers import pick
from sqlora.serve.place import Place

SERVICE = "bedrock-runtime"
JSON = "application/json"
NO_GUARDRAIL = "The guardrail identifier or version provided in the request does not exist: sqlora has no guardrails."


def handlers(place: Place) -> dict[tuple[str, str], Handler]:
    """Of all operations but the asynchronous and bidirectional ones, which are for video and speech."""
    runtime = Runtime(place)
    return {
        (SERVICE, "Converse"): runtime.converse,
        (SERVICE, "ConverseStream"): runtime.converse_stream,
        (SERVICE, "InvokeModel"): runtime.invoke_model,
        (SERVICE, "InvokeModelWithResponseStream"): runtime.invoke_model_with_response_stream,
        (SERVICE, "CountTokens"): runtime.count_tokens,
        (SERVICE, "ApplyGuardrail"): runtime.apply_guardrail,
    }


class Runtime:
    """The handlers, one method an operation."""

    def __init__(self, place: Place) -> None:
        self._answering = place.answering

    async def converse(self, call: Call) -> Answer:
        """The whole answer."""
        started = time.perf_counter()
        completion = await self._complete(call, *await run_in_threadpool(_converse_request, call.params))
        answer: dict[str, Any] = {
            "output": {"message": {"role": "assistant", "content": [{"text": completion.text}]}},
            "stopReason": completion.stop_reason,
            "usage": nova.usage(completion),
            "metrics": {"latencyMs": _milliseconds(started)},
            **_echoed(call.params),
        }
        if found := pick(nova.answer(completion), call.params.get("additionalModelResponseFieldPaths", [])):
            answer["additionalModelResponseFields"] = found
        return answer

    async def converse_stream(self, call: Call) -> Answer:
        """The answer in events, as its tokens come."""
        return EventStream(self._converse_events(call, *await run_in_threadpool(_converse_request, call.params)))

    async def _converse_events(
        self, call: Call, record: dict[str, Any], sampling: Sampling
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        started = time.perf_counter()
        begun = False
        async for piece in self._pieces(call, record, sampling):
            if not begun:  # only now, so that what is refused is an ordinary error response
                yield "messageStart", {"role": "assistant"}
                begun = True
            if isinstance(piece, Delta):
                yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece.text}}
                continue
            yield "contentBlockStop", {"contentBlockIndex": 0}
            stop: dict[str, Any] = {"stopReason": piece.stop_reason}
            if found := pick(nova.answer(piece), call.params.get("additionalModelResponseFieldPaths", [])):
                stop["additionalModelResponseFields"] = found
            yield "messageStop", stop
            metrics = {"latencyMs": _milliseconds(started)}
            yield "metadata", {"usage": nova.usage(piece), "metrics": metrics, **_echoed(call.params)}

    async def invoke_model(self, call: Call) -> Answer:
        """The whole answer in Nova's own schema; the token counts are in headers too."""
        started = time.perf_counter()
        completion = await self._complete(call, *await run_in_threadpool(_invoke_request, call.params))
        call.response_headers.update(
            {
                "X-Amzn-Bedrock-Input-Token-Count": str(completion.input_tokens),
                "X-Amzn-Bedrock-Output-Token-Count": str(completion.output_tokens),
                "X-Amzn-Bedrock-Invocation-Latency": str(_milliseconds(started)),
            }
        )
        return {"body": json.dumps(nova.answer(completion), ensure_ascii=False).encode(), "contentType": JSON}

    async def invoke_model_with_response_stream(self, call: Call) -> Answer:
        """Nova's own events, each the JSON of a chunk."""
        asked = await run_in_threadpool(_invoke_request, call.params)
        return EventStream(self._nova_events(call, *asked), {"contentType": JSON})

    async def _nova_events(
        self, call: Call, record: dict[str, Any], sampling: Sampling
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        started = time.perf_counter()
        first: int | None = None
        async for piece in self._pieces(call, record, sampling):
            if first is None:
                first = _milliseconds(started)
                yield _chunk({"messageStart": {"role": "assistant"}})
            if isinstance(piece, Delta):
                yield _chunk({"contentBlockDelta": {"delta": {"text": piece.text}, "contentBlockIndex": 0}})
                continue
            yield _chunk({"contentBlockStop": {"contentBlockIndex": 0}})
            yield _chunk({"messageStop": {"stopReason": piece.stop_reason}})
            invocation = {
                "inputTokenCount": piece.input_tokens,
                "outputTokenCount": piece.output_tokens,
                "invocationLatency": _milliseconds(started),
                "firstByteLatency": first,
            }
            yield _chunk(
                {
                    "metadata": {"usage": nova.usage(piece), "metrics": {}, "trace": {}},
                    "amazon-bedrock-invocationMetrics": invocation,
                }
            )

    async def count_tokens(self, call: Call) -> Answer:
        """Refused as the service refuses it for Nova and for models customised from it."""
        self._resolve(call.params["modelId"])
        raise invalid("The provided model doesn't support counting tokens.")

    async def apply_guardrail(self, call: Call) -> Answer:
        """There is none to apply."""
        raise invalid(NO_GUARDRAIL)

    # answers ----------------------------------------------------------------------------------------------------

    async def _complete(self, call: Call, record: dict[str, Any], sampling: Sampling) -> Completion:
        completion: Completion | None = None
        async for piece in self._pieces(call, record, sampling):
            if isinstance(piece, Completion):
                completion = piece
        assert completion is not None  # `Answering.stream` ends with it or raises
        return completion

    async def _pieces(
        self, call: Call, record: dict[str, Any], sampling: Sampling
    ) -> AsyncIterator[Delta | Completion]:
        """The answer's pieces, with the service's names for what can go wrong with it."""
        name = self._resolve(call.params["modelId"])
        caller, disconnected = call.identity.caller, call.disconnected
        stream = self._answering.stream(name, record, sampling, caller, disconnected, call.request_id)
        begun = False
        try:
            async for piece in stream:
                begun = True
                yield piece
        except StoppingError as error:
            raise AwsError("ServiceUnavailableException", error.message) from error
        except ConflictError as error:  # a deployment that is Creating will be ready; one that Failed will not
            code = "ModelNotReadyException" if "Creating" in error.message else "ValidationException"
            raise AwsError(code, error.message) from error
        except ModelError as error:
            amid = begun and "Stream" in call.operation
            raise AwsError("ModelStreamErrorException" if amid else "ModelErrorException", error.message) from error
        finally:
            await stream.aclose()

    def _resolve(self, model_id: str) -> str:
        try:
            return self._answering.resolve(model_id)
        except NotFoundError as error:
            raise AwsError("ResourceNotFoundException", error.message) from error


def _converse_request(params: dict[str, Any]) -> tuple[dict[str, Any], Sampling]:
    """Conversation and sampling; ValidationException for what a text model of this size cannot do."""
    if params.get("toolConfig"):
        raise invalid("This model doesn't support tool use.")
    if (params.get("guardrailConfig") or {}).get("guardrailIdentifier"):
        raise invalid(NO_GUARDRAIL)
    if params.get("promptVariables"):
        raise invalid("promptVariables need the ARN of a prompt as modelId, and sqlora has no prompt management.")
    if params.get("outputConfig"):
        raise invalid("This model doesn't support outputConfig: it has no structured output.")
    _check_delivery(
        (params.get("performanceConfig") or {}).get("latency"), (params.get("serviceTier") or {}).get("type")
    )
    pick({}, params.get("additionalModelResponseFieldPaths", []))
    sampling = nova.converse_sampling(params.get("inferenceConfig") or {}, params.get("additionalModelRequestFields"))
    return conversation(params.get("system") or [], params.get("messages") or []), sampling


def _invoke_request(params: dict[str, Any]) -> tuple[dict[str, Any], Sampling]:
    if params.get("guardrailIdentifier"):
        raise invalid(NO_GUARDRAIL)
    _check_delivery(params.get("performanceConfigLatency"), params.get("serviceTier"))
    for header in ("contentType", "accept"):
        kind = (params.get(header) or JSON).split(";")[0].strip().lower()
        # curl and other tools name a form when nothing is asked for; the body decides whether it is JSON
        if kind not in (JSON, "*/*", "application/*", "application/x-www-form-urlencoded", "application/octet-stream"):
            raise invalid(f"The {header} {kind!r} is not supported: the model reads and writes {JSON}.")
    return nova.parse(params.get("body") or b"")


def _check_delivery(latency: str | None, tier: str | None) -> None:
    if latency not in (None, "standard"):
        raise invalid("Latency performance configuration is not supported for this model.")
    if tier not in (None, "default"):
        raise invalid(f"The service tier {tier!r} is not supported for this model; the default is.")


def _echoed(params: dict[str, Any]) -> dict[str, Any]:
    """What the service repeats of a request."""
    return {key: params[key] for key in ("performanceConfig", "serviceTier") if params.get(key)}


def _chunk(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "chunk", {"bytes": json.dumps(event, ensure_ascii=False).encode()}


def _milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
