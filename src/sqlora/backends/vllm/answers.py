"""A record and a sampling → the body of a chat completion; its chunks → deltas and the completion."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlora.backends.vllm.errors import vllm_errors
from sqlora.engines.base import Completion, Delta, Sampling, StopReason
from sqlora.errors import ServiceError
from sqlora.prompting import read_turns

if TYPE_CHECKING:
    from openai import Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    from sqlora.backends.vllm.server import Server


def messages(record: Mapping[str, Any], system: str | None) -> list[dict[str, str]]:
    """The conversation as OpenAI's API has it; ``system`` where the record has none."""
    own, turns = read_turns(record)
    said = [{"role": turn.role, "content": turn.text} for turn in turns]
    return [{"role": "system", "content": own or system or ""}, *said] if own or system else said


def body(model: str, chat: list[dict[str, str]], sampling: Sampling) -> dict[str, Any]:
    """What to send. Every setting is sent: for one that is not, the server takes the model's generation_config, and a
    repetition penalty there makes SQL wrong (a query has to repeat its columns)."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": chat,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }
    if sampling.stop:
        asked["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        asked["seed"] = sampling.seed
    if sampling.beams > 1:
        asked |= {"use_beam_search": True, "n": sampling.beams, "temperature": 0.0, "top_p": 1.0, "top_k": -1}
    return asked


@dataclass(frozen=True)
class Begun:
    """An answer that the server has begun with. ``close`` ends it, there too, whether or not a piece was taken."""

    prompt_tokens: int
    pieces: Generator[Delta | Completion]
    close: Callable[[], None]


def begin(server: Server, body: Mapping[str, Any], request_id: str) -> Begun:
    """Ask, and wait for the first chunk: with it come the prompt's tokens, or the error."""
    if body.get("use_beam_search"):
        completion = best(server.answer(body, request_id))
        return Begun(completion.input_tokens, _whole(completion), lambda: None)
    chunks = server.stream(body, request_id)
    try:
        with vllm_errors(f"ask {body['model']!r}", server.url):
            first = next(chunks, None)
    except BaseException:
        chunks.close()
        raise
    tokens = first.usage.prompt_tokens if first is not None and first.usage is not None else 0
    return Begun(tokens, read(first, chunks, server.url), chunks.close)


def read(
    first: ChatCompletionChunk | None, rest: Stream[ChatCompletionChunk], url: str
) -> Generator[Delta | Completion]:
    """The pieces of an answer whose ``first`` chunk has come; times count from now. ServiceError if it breaks off."""
    started, text, tokens = time.perf_counter(), "", 0
    usage, finish, stopped_by, first_token = None, None, None, None
    with closing(rest):
        chunk = first
        while chunk is not None:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                if choice.delta.content:
                    now = usage.completion_tokens if usage is not None else tokens + 1
                    first_token = time.perf_counter() - started if first_token is None else first_token
                    text += choice.delta.content
                    yield Delta(choice.delta.content, max(0, now - tokens))
                    tokens = now
                finish = choice.finish_reason or finish
                stopped_by = getattr(choice, "stop_reason", None) or stopped_by
            with vllm_errors("go on with the answer", url):
                chunk = next(rest, None)
    if finish not in ("stop", "length") or usage is None:  # "abort" and "error" are vLLM's own
        raise ServiceError(f"the vLLM server at {url} ended in the middle of an answer", "ask again")
    seconds = time.perf_counter() - started
    yield Completion(
        text, usage.prompt_tokens, usage.completion_tokens, _cached(usage), stop_reason(finish, stopped_by),
        seconds if first_token is None else first_token, seconds,
    )  # fmt: skip


def best(answer: ChatCompletion) -> Completion:
    """Of several beams, which the server gives the most probable first; it came at once, so its times are 0."""
    texts = [choice.message.content or "" for choice in answer.choices]
    usage, choice = answer.usage, answer.choices[0]
    if usage is None:
        raise ServiceError("the vLLM server counted no tokens", "ask again")
    stop = stop_reason(choice.finish_reason, getattr(choice, "stop_reason", None))
    return Completion(
        texts[0], usage.prompt_tokens, usage.completion_tokens, _cached(usage), stop, 0.0, 0.0, tuple(texts[1:])
    )


def _whole(completion: Completion) -> Generator[Delta | Completion]:
    if completion.text:
        yield Delta(completion.text, completion.output_tokens)
    yield completion


def stop_reason(finish: str, stopped_by: object) -> StopReason:
    """vLLM names the stop sequence that it met; none was met when the model ended its turn."""
    if finish == "length":
        return "max_tokens"
    return "stop_sequence" if isinstance(stopped_by, str) else "end_turn"


def _cached(usage: Any) -> int:
    """Known where the server runs with --enable-prompt-tokens-details."""
    details = usage.prompt_tokens_details
    return int(details.cached_tokens or 0) if details is not None else 0
