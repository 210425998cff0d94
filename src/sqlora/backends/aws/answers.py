"""Questions to Bedrock: ConverseStream, timed by AWS's own method, every answer's usage on the books before it is out.

AWS measures the time to the first contentBlockDelta, and the rate as output tokens over the rest of the time.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlora.backends.answer import Answer
from sqlora.backends.aws.errors import aws_errors, is_expired
from sqlora.backends.aws.site import Site
from sqlora.cost.training import CHARACTERS_A_TOKEN
from sqlora.engines.base import Completion, Delta, Sampling, StopReason
from sqlora.errors import ServiceError
from sqlora.platform.usage import UsageRow
from sqlora.prompting import asked_in, read_turns

THREADS = 8  # of a batch; a deployment takes 2,000 requests a minute
TRIES = 3  # of an answer in a batch, each with boto3's own

_STOPS: dict[str, StopReason] = {
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
}


@dataclass(frozen=True)
class Asked:
    """Whom to ask: ``name`` for the books, ``model_id`` for Bedrock.

    ``system`` gives a question's system text, where a record has none.
    """

    name: str
    model_id: str
    system: Callable[[str], str | None] = lambda question: None


class Answers:
    """The answers of one backend's deployments, and of the base model."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def converse(
        self,
        asked: Asked,
        record: Mapping[str, Any],
        sampling: Sampling | None,
        caller: str,
    ) -> Answer:
        """One answer as it comes. Times count from this call; nobody else's do: what is retried is in them."""
        started = time.perf_counter()
        doing = f"ask {asked.name!r}"
        request = converse_request(asked, record, sampling or Sampling())
        with aws_errors(doing):
            response = self._site.account.client("bedrock-runtime").converse_stream(**request)
        stream, request_id = response["stream"], response["ResponseMetadata"]["RequestId"]
        return Answer(
            _pieces(stream, doing, time.perf_counter()),
            asked.name,
            caller,
            _estimate(request),
            started,
            self._record,
            stream.close,
            request_id,
        )

    def converse_batch(
        self, asked: Asked, records: Sequence[Mapping[str, Any]], sampling: Sampling | None, caller: str
    ) -> list[Completion]:
        """The answers to many, several at a time, in their order. The first error ends it; what was answered is kept
        on the books.
        """
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="converse")
        try:
            return list(pool.map(lambda record: self._answer(asked, record, sampling, caller), records))
        finally:
            pool.shutdown(cancel_futures=True)

    def _answer(self, asked: Asked, record: Mapping[str, Any], sampling: Sampling | None, caller: str) -> Completion:
        for number in range(TRIES):
            try:
                *_, last = self.converse(asked, record, sampling, caller)
                if not isinstance(last, Completion):
                    raise ServiceError(f"the answer of {asked.name!r} broke off", "try again")
                return last
            except ServiceError as error:
                if is_expired(error) or number == TRIES - 1:
                    raise
                self._site.polling.sleep(self._site.polling.first * 2**number)
        raise AssertionError  # not reached

    def _record(self, row: UsageRow) -> None:
        try:
            self._site.state.usage.record([replace(row, backend=self._site.backend)])
        except sqlite3.IntegrityError as error:
            # A server over this very state folder (sqlora serve, asked through boto3) has it on the books already.
            if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                raise


def converse_request(asked: Asked, record: Mapping[str, Any], sampling: Sampling) -> dict[str, Any]:
    """The parameters of ConverseStream. Beams and seeds are not offered there, and left out."""
    system, turns = read_turns(record)
    system = system or asked.system(asked_in(record)) or ""
    request: dict[str, Any] = {
        "modelId": asked.model_id,
        "messages": [{"role": turn.role, "content": [{"text": turn.text}]} for turn in turns],
        "inferenceConfig": {
            "maxTokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "topP": sampling.top_p,  # Nova's own default would be 0.9
        },
    }
    if system:
        request["system"] = [{"text": system}]
    if sampling.stop:
        request["inferenceConfig"]["stopSequences"] = list(sampling.stop)
    if sampling.top_k:
        request["additionalModelRequestFields"] = {"inferenceConfig": {"topK": sampling.top_k}}
    return request


def _estimate(request: Mapping[str, Any]) -> int:
    """About how many tokens are given; of an answer that is abandoned half-way the service never tells the count."""
    blocks = [*request.get("system", []), *(block for turn in request["messages"] for block in turn["content"])]
    return math.ceil(sum(len(block["text"]) for block in blocks) / CHARACTERS_A_TOKEN)


def _pieces(stream: Any, doing: str, began: float) -> Generator[Delta | Completion]:
    """Deltas, then the completion, its times in seconds since ``began``."""
    text, first, stop = "", None, "end_turn"
    for event in _events(stream, doing):
        if "contentBlockDelta" in event:
            first = time.perf_counter() - began if first is None else first
            if piece := event["contentBlockDelta"]["delta"].get("text", ""):
                text += piece
                yield Delta(piece, 1)
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage, seconds = event["metadata"]["usage"], time.perf_counter() - began
            yield Completion(
                text,
                usage["inputTokens"],
                usage["outputTokens"],
                min(usage.get("cacheReadInputTokens", 0), usage["inputTokens"]),  # AWS counts them beside the input
                _STOPS.get(stop, "end_turn"),
                seconds if first is None else first,
                seconds,
            )
            return
    raise ServiceError(f"cannot {doing}: the answer broke off", "try again")


def _events(stream: Any, doing: str) -> Iterator[Mapping[str, Any]]:
    from urllib3.exceptions import HTTPError  # what botocore lets through in the middle of a stream

    events = iter(stream)
    while True:
        with aws_errors(doing):
            try:
                event = next(events)
            except StopIteration:
                return
            except HTTPError as error:
                raise ServiceError(f"cannot {doing}: the connection broke ({error})", "try again") from error
        yield event
