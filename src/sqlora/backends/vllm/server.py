"""One vLLM server (or the address of several) over HTTP, by the OpenAI client.

    GET  /v1/models                 base models, with ``max_model_len``, and adapters, with their ``parent``
    POST /v1/load_lora_adapter      {lora_name, lora_path}: the folder as the server sees it; 400 for a taken name
    POST /v1/unload_lora_adapter    {lora_name}; 404 for an unknown one
    POST /v1/chat/completions       an adapter is asked by its name, as any model
    POST /tokenize                  {model, messages} → count, max_model_len

The two in the middle exist only where the server runs with ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=True``.
https://docs.vllm.ai/en/latest/features/lora/, https://docs.vllm.ai/en/latest/serving/openai_compatible_server/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlora.backends.vllm.errors import GUIDE, KEY, NotServed, no_such_route, said, translate, vllm_errors
from sqlora.errors import ConfigError, ConflictError, ModelError

if TYPE_CHECKING:
    from openai import OpenAI, Stream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

CONNECT_SECONDS = 10.0
READ_SECONDS = 300.0  # between two pieces of an answer, or for an adapter to be loaded
RETRIES = 2  # with growing waits, of what did not get an answer, of 429 and of 5xx


@dataclass(frozen=True)
class Card:
    """One entry of the server's list of models. ``parent`` None: a base model, whose ``context`` is in tokens.

    ``root`` is where it was loaded from: a folder as the server sees it, or a hub id.
    """

    id: str
    root: str
    parent: str | None
    context: int | None


class Server:
    """The server at ``url`` (without ``/v1``). Safe to use from several threads. Every method raises `vllm_errors`'."""

    def __init__(self, url: str, retries: int = RETRIES) -> None:
        self.url, self._retries = url, retries

    @cached_property
    def _client(self) -> OpenAI:
        try:
            import httpx2
            import openai
        except ModuleNotFoundError as error:
            raise ConfigError(f"vLLM needs the package {error.name}", "pip install 'sqlora[vllm]'") from error
        return openai.OpenAI(
            base_url=f"{self.url}/v1",
            api_key=os.environ.get(KEY) or "none",  # a server without a key looks at none
            max_retries=self._retries,
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        )

    def close(self) -> None:
        """Let go of the connections."""
        if "_client" in self.__dict__:
            self._client.close()

    # models ---------------------------------------------------------------------------------------------------

    def models(self) -> list[Card]:
        """What it serves now, adapters included."""
        client = self._client
        with vllm_errors("list its models", self.url):
            return [_card(item) for item in client.models.list()]

    def base(self, name: str, given: str | None) -> Card:
        """The base model that is ``name`` here and ``given`` there, if that is set.

        ConfigError when the server serves another: an adapter over other weights answers nonsense, and when the
        shapes are the same, no server notices.
        """
        bases = [card for card in self.models() if card.parent is None]
        wanted = (given,) if given else (name,)
        for card in bases:
            if card.id in wanted or card.root in wanted:
                return card
        shown = ", ".join(card.id for card in bases) or "nothing"
        if given:
            raise ConfigError(f"the vLLM server at {self.url} serves {shown}, not {given}", "correct [vllm] model")
        raise ConfigError(
            f"the vLLM server at {self.url} serves {shown}; the adapter was trained on {name}",
            f'[vllm] model = "{bases[0].id if bases else name}" if these are the same weights, else vllm serve {name}',
        )

    def load(self, name: str, path: str) -> None:
        """Have the adapter at ``path`` (the server's) answer to ``name``; nothing happens when it does already.

        ConflictError when something else has the name, ModelError when the server cannot load it.
        """
        doing, client = f"load the adapter {name!r} into vLLM", self._client
        import openai

        with vllm_errors(doing, self.url):
            try:
                client.post("/load_lora_adapter", body={"lora_name": name, "lora_path": path}, cast_to=str)
            except openai.APIStatusError as error:
                self._not_loaded(error, doing, name, path)

    def _not_loaded(self, error: Any, doing: str, name: str, path: str) -> None:
        """Returns if the adapter is there after all, else raises why not."""
        if error.status_code == 404 and no_such_route(error):
            raise ConfigError(
                f"the vLLM server at {self.url} does not load adapters at run time",
                f"start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True; {GUIDE}",
            ) from error
        if error.status_code == 404:
            raise ModelError(
                f"cannot {doing}: it finds none at {path}",
                "[vllm] folder and server_folder: a folder that both machines see, as each of them calls it",
            ) from error
        if error.status_code not in (400, 500):
            raise translate(error, doing, self.url) from error
        there = next((card for card in self.models() if card.id == name), None)
        if there is None:
            raise ModelError(f"cannot {doing}: {said(error)}", _load_advice(said(error))) from error
        if there.root != path:
            raise ConflictError(
                f"the vLLM server at {self.url} serves {name!r} from {there.root}", "another --name"
            ) from error

    def unload(self, name: str, path: str | None) -> None:
        """Have the adapter from ``path`` (None: from anywhere) no longer answer to ``name``.

        Another one of that name is somebody else's and stays; one that is not there is unloaded already.
        """
        if not any(card.id == name and card.parent and path in (None, card.root) for card in self.models()):
            return
        client, doing = self._client, f"unload the adapter {name!r} from vLLM"
        try:
            with vllm_errors(doing, self.url):
                client.post("/unload_lora_adapter", body={"lora_name": name}, cast_to=str)
        except NotServed:
            pass

    # answers --------------------------------------------------------------------------------------------------

    def stream(self, body: Mapping[str, Any], request_id: str) -> Stream[ChatCompletionChunk]:
        """The chunks of an answer, each with the tokens so far; closing it ends the answer on the server."""
        counted = {"include_usage": True, "continuous_usage_stats": True}
        return self._ask({**body, "stream": True, "stream_options": counted}, request_id)  # type: ignore[no-any-return]

    def answer(self, body: Mapping[str, Any], request_id: str) -> ChatCompletion:
        """The answer as a whole."""
        return self._ask(body, request_id)  # type: ignore[no-any-return]

    def _ask(self, body: Mapping[str, Any], request_id: str) -> Any:
        client = self._client
        own = {key: body[key] for key in _OPENAI if key in body}
        extra = {key: value for key, value in body.items() if key not in own}
        with vllm_errors(f"ask {body['model']!r}", self.url):
            return client.chat.completions.create(**own, extra_body=extra, extra_headers={"X-Request-Id": request_id})

    def count(self, model: str, messages: list[dict[str, str]]) -> tuple[int, int]:
        """The tokens of a prompt, and how many the model reads, prompt and answer together."""
        client = self._client
        with vllm_errors("count tokens", self.url):
            found = client.post(
                f"{self.url}/tokenize", body={"model": model, "messages": messages}, cast_to=dict[str, Any]
            )
        return int(found["count"]), int(found["max_model_len"])


_OPENAI = ("model", "messages", "max_tokens", "temperature", "top_p", "stop", "seed", "n", "stream", "stream_options")


def _card(item: Any) -> Card:
    return Card(
        item.id, str(getattr(item, "root", None) or item.id), getattr(item, "parent", None),
        getattr(item, "max_model_len", None),
    )  # fmt: skip


def _load_advice(words: str) -> str:
    if "rank" in words:
        return "start the server with a larger --max-lora-rank, or train with a smaller rank"
    if "lora" in words.lower() and "enable" in words.lower():
        return "start the server with --enable-lora"
    return "the server's log says more"
