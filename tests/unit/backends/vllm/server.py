"""What vLLM's documentation says of its HTTP API, over echoes instead of a model: a real one needs a GPU.

An adapter answers with what is in its weights' file, as `tests.conformance.echo` has it; a token is a character.
https://docs.vllm.ai/en/latest/features/lora/, …/serving/openai_compatible_server/
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BASE, ROOT = "smollm2-135m", "/models/smollm2"
Wire = Callable[[str], None]


@dataclass
class Lora:
    path: str
    weights: str


@dataclass
class Fake:
    """The server's state and what a test may do to it."""

    context: int = 4096
    max_rank: int = 16
    runtime: bool = True  # VLLM_ALLOW_RUNTIME_LORA_UPDATING
    cache_dir: Path | None = None  # VLLM_LORA_RESOLVER_CACHE_DIR
    key: str | None = None
    old_errors: bool = False  # before 0.10 errors had no object around them
    url: str = ""
    loras: dict[str, Lora] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)  # statuses of the next answers
    lose: list[str] = field(default_factory=list)  # paths of which an answer gets lost after the work was done
    finish: str = "stop"  # what an answer that is whole says of its end
    break_off: int | None = None  # an answer breaks off after so many pieces
    aborted: threading.Event = field(default_factory=threading.Event)

    def restart(self) -> None:
        """What was loaded at run time is gone."""
        self.loras.clear()

    def error(self, status: int, kind: str, message: str) -> tuple[int, dict[str, Any]]:
        said = {"message": message, "type": kind, "param": None, "code": status}
        return status, {"object": "error", **said} if self.old_errors else {"error": said}

    # the routes -----------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.fail:
            return self.error(self.fail.pop(0), "InternalServerError", "out of order")
        routes: dict[tuple[str, str], Callable[[dict[str, Any]], tuple[int, Any]]] = {
            ("GET", "/v1/models"): self.models,
            ("POST", "/v1/chat/completions"): self.chat,
            ("POST", "/tokenize"): self.tokenize,
        }
        if self.runtime:
            routes |= {("POST", "/v1/load_lora_adapter"): self.load, ("POST", "/v1/unload_lora_adapter"): self.unload}
        if (method, path) not in routes:
            return 404, {"detail": "Not Found"}
        return routes[method, path](body)

    def models(self, body: dict[str, Any]) -> tuple[int, Any]:
        cards = [{"id": BASE, "root": ROOT, "parent": None, "max_model_len": self.context}]
        cards += [{"id": name, "root": lora.path, "parent": BASE} for name, lora in self.loras.items()]  # type: ignore[misc]
        return 200, {
            "object": "list",
            "data": [{"object": "model", "created": 1, "owned_by": "vllm", **c} for c in cards],
        }

    def load(self, body: dict[str, Any]) -> tuple[int, Any]:
        name, path = body["lora_name"], body["lora_path"]
        if name in self.loras:
            return self.error(400, "InvalidUserInput", f"The lora adapter '{name}' has already been loaded.")
        folder = Path(path)
        if not (folder / "adapter_config.json").is_file():
            return self.error(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {path}")
        rank = json.loads((folder / "adapter_config.json").read_text()).get("r", 8)
        if rank > self.max_rank:
            return self.error(
                500, "InternalServerError", f"LoRA rank {rank} is greater than max_lora_rank {self.max_rank}."
            )
        self.loras[name] = Lora(path, (folder / "adapter_model.safetensors").read_text())
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = body["lora_name"]
        if name not in self.loras:
            return self.error(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
        del self.loras[name]
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def resolve(self, name: str) -> None:
        """The filesystem resolver: a folder of that name, whose adapter is for the base model that is served."""
        if self.cache_dir is None or name in self.loras:
            return
        config = self.cache_dir / name / "adapter_config.json"
        if config.is_file() and json.loads(config.read_text()).get("base_model_name_or_path") == ROOT:
            self.load({"lora_name": name, "lora_path": str(config.parent)})

    def weights(self, model: str) -> str | None:
        self.resolve(model)
        return "base" if model == BASE else self.loras[model].weights if model in self.loras else None

    def tokenize(self, body: dict[str, Any]) -> tuple[int, Any]:
        tokens = count(body["messages"])
        return 200, {"count": tokens, "max_model_len": self.context, "tokens": [0] * tokens}

    def chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        if (weights := self.weights(body["model"])) is None:
            return self.error(404, "NotFoundError", f"The model `{body['model']}` does not exist.")
        tokens = count(body["messages"])
        if tokens + body["max_tokens"] > self.context:
            return self.error(
                400, "BadRequestError",
                f"This model's maximum context length is {self.context} tokens. However, your request has {tokens} input "
                f"tokens plus {body['max_tokens']} 'max_tokens'. Please reduce one or the other.",
            )  # fmt: skip
        text = f"{weights}: {body['messages'][-1]['content']}"
        if body.get("use_beam_search"):
            texts = [text] + [f"{text} or {n}" for n in range(1, body["n"])]
            used = usage(tokens, sum(len(each) for each in texts))
            choices = [
                {"index": n, "message": {"role": "assistant", "content": each}, "finish_reason": "stop"}
                for n, each in enumerate(texts)
            ]  # fmt: skip
            return 200, {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": choices,
                "usage": used,
            }
        finish, stopped = self.finish, None
        for sequence in body.get("stop") or ():
            if sequence in text:
                text, stopped = text[: text.index(sequence)], sequence
        if len(text) > body["max_tokens"]:
            text, finish, stopped = text[: body["max_tokens"]], "length", None
        if not body.get("stream"):
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish,
                "stop_reason": stopped,
            }
            return 200, {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": body["model"],
                "choices": [choice],
                "usage": usage(tokens, len(text)),
            }
        assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
        return 200, self.chunks(body["model"], text, finish, stopped, tokens)

    def chunks(self, model: str, text: str, finish: str, stopped: str | None, tokens: int) -> Iterator[dict[str, Any]]:
        """Two characters a chunk: a chunk may have several tokens. The end of the turn is a token too."""
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        yield {
            **head,
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
            "usage": usage(tokens, 0),
        }
        for number, place in enumerate(range(0, len(text), 2)):
            if number == self.break_off:
                raise ConnectionAbortedError
            delta = {"content": text[place : place + 2]}
            done = min(place + 2, len(text))
            yield {
                **head,
                "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
                "usage": usage(tokens, done),
            }
        total = len(text) + (finish == "stop" and stopped is None)
        last = {"index": 0, "delta": {"content": ""}, "finish_reason": finish, "stop_reason": stopped}
        yield {**head, "choices": [last], "usage": usage(tokens, total)}
        yield {**head, "choices": [], "usage": usage(tokens, total)}


def count(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"]) + len(message["role"]) + 2 for message in messages)


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    fake: Fake

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._do("GET", {})

    def do_POST(self) -> None:
        self._do("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _do(self, method: str, body: dict[str, Any]) -> None:
        fake = self.fake
        fake.calls.append(f"{method} {self.path}")
        if found := self.headers.get("X-Request-Id"):
            fake.request_ids.append(found)
        if fake.key is not None and self.headers.get("Authorization") != f"Bearer {fake.key}":
            self._send(401, {"error": "Unauthorized"})
            return
        status, answer = fake.answer(method, self.path, body)
        if self.path in fake.lose:
            fake.lose.remove(self.path)
            self.close_connection = True
            return
        if isinstance(answer, Iterator):
            self._stream(answer)
        else:
            self._send(status, answer)

    def _send(self, status: int, answer: Any) -> None:
        text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self, chunks: Iterator[dict[str, Any]]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for chunk in chunks:
                self._chunk(f"data: {json.dumps(chunk)}\n\n")
                time.sleep(0.0005)  # so that a client that goes away is noticed
            self._chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.fake.aborted.set()

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


@contextmanager
def running(**settings: Any) -> Iterator[Fake]:
    """It, listening on a free port."""
    fake = Fake(**settings)
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
