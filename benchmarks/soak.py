"""A long, rough day of the server: many clients, more adapters than memory, clients that hang up, and ``kill -9``.

    python benchmarks/soak.py --requests 20000 --clients 32 --deployments 20 --restarts 2 --model tiny --json soak.json

``sqlora serve`` runs as a process of its own. Client threads ask random deployments random questions, by boto3's four
operations and by openai, whole and in events; some hang up in the middle. Memory holds a few of the adapters, the
queue fewer requests than there are clients. The server is killed and started again at equal shares of the run. Checked:

    answers   every whole answer, and every beginning of one, is what that adapter alone gave before (greedy)
    usage     each answered request has one row with its counts, by its request id; no request has more than one
    memory    in each life of the server, the last third of its memory is not above the middle third
    errors    each is explained by a kill, a bound of the server, or the client's own hanging up
    rest      afterwards nothing runs, waits or is leased any more

A request that got no answer may not know its id. Its row is found by its caller: boto3's requests have an access key
id each; openai's are all called "bearer" and counted.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import boto3
from botocore.exceptions import ClientError, ReadTimeoutError
from openai import APIStatusError, APITimeoutError

from sqlora.backends.local import LocalBackend
from sqlora.engines.base import Completion, Sampling
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.project import Project
from sqlora.prompting import record
from sqlora.serve.running import ask_server
from tests.process import ServerProcess, boto_client, deploy, machine, make_project, openai_client
from tests.tiny import tiny_model

WAYS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "chat", "chat stream")
STREAMS = ("ConverseStream", "InvokeModelWithResponseStream", "chat stream")
HANG_UP = 0.1  # share of the requests whose client does not wait for the end
PATIENCE = (0.02, 0.1)  # seconds, of those that wait for a whole answer
SAMPLE_SECONDS = 0.25
FEWEST_SAMPLES = 20  # of a third that is judged: a life that is shorter is still filling its caches
GROWTH = 0.03  # of memory from the middle third of a life to its last, at most; or
GROWTH_BYTES = 16 * 2**20
MOST_SHOWN = 5  # unexplained errors
SLACK_SECONDS = 1.0  # a request may notice a kill so much later


@dataclass(frozen=True)
class Expected:
    """What an adapter answers when nobody else asks."""

    text: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Plan:
    """What is asked. ``answers`` is by deployment and number of the question."""

    names: list[str]
    questions: list[str]
    tokens: int
    answers: dict[tuple[str, int], Expected]


@dataclass
class Asked:
    """One request and what became of it: answered, abandoned, killed, bounded, or unexplained."""

    caller: str
    way: str
    deployment: str
    question: int
    began: float
    outcome: str = ""
    detail: str = ""
    counts: tuple[int, int] | None = None  # input and output tokens, as the answer says
    id: str | None = None  # as the answer says


@dataclass
class Soak:
    """What all threads share."""

    plan: Plan
    server: ServerProcess
    total: int
    done: list[Asked] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    kills: list[tuple[float, float]] = field(default_factory=list)  # from the signal until it answers again
    memory: list[list[tuple[float, int]]] = field(default_factory=lambda: [[]])  # of each life
    up: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    ended: int = 0
    _numbers: Iterator[int] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def number(self) -> int | None:
        """The next request's; None when all were asked."""
        with self._lock:
            self._numbers = self._numbers or iter(range(self.total))
            return next(self._numbers, None)

    def note(self, asked: Asked) -> None:
        """It is over; one that was refused by a bound is asked again and does not count."""
        with self._lock:
            self.done.append(asked)
            self.ended += asked.outcome != "bounded"


class HungUp(Exception):
    """The client itself has ended the request."""


class Client(threading.Thread):
    """One client: asks until all is asked."""

    def __init__(self, soak: Soak, seed: int) -> None:
        super().__init__(name=f"client-{seed}", daemon=True)
        self._soak, self._draw = soak, random.Random(seed)
        self._session = boto3.Session("SOAK", "secret", region_name="us-east-1")
        self._credentials = self._session.get_credentials()
        url = soak.server.url
        self._patient = boto_client(url, session=self._session, read_timeout=120)
        self._hasty = [boto_client(url, session=self._session, read_timeout=seconds) for seconds in PATIENCE]
        self._openai = openai_client(url)

    def run(self) -> None:
        """Ask until all is asked."""
        while (number := self._soak.number()) is not None:
            attempts = 0
            while self._once(f"SOAK{number:06}X{attempts}") == "bounded":
                attempts += 1
                time.sleep(self._draw.uniform(0.05, 0.5))

    def _once(self, caller: str) -> str:
        """One request of this caller; how it ended."""
        self._soak.up.wait()
        way, plan = self._draw.choice(WAYS), self._soak.plan
        question = self._draw.randrange(len(plan.questions))
        caller = "bearer" if way.startswith("chat") else caller
        asked = Asked(caller, way, self._draw.choice(plan.names), question, time.monotonic())
        self._credentials.access_key = caller
        try:
            self._ask(asked, self._draw.random() < HANG_UP)
        except HungUp:
            asked.outcome = "abandoned"
        except Exception as error:
            self._explain(asked, error)
        self._soak.note(asked)
        return asked.outcome

    def _ask(self, asked: Asked, hasty: bool) -> None:
        way = {
            "Converse": self._converse,
            "ConverseStream": self._converse_stream,
            "InvokeModel": self._invoke,
            "InvokeModelWithResponseStream": self._invoke_stream,
            "chat": self._chat,
            "chat stream": self._chat_stream,
        }[asked.way]
        plan = self._soak.plan
        text, *counts = way(asked, plan.questions[asked.question], hasty)
        expected = plan.answers[asked.deployment, asked.question]
        if (text, *counts) != (expected.text, expected.input_tokens, expected.output_tokens):
            self._soak.wrong.append(f"{asked.way} {asked.deployment} question {asked.question}: {text!r} {counts}")
        asked.outcome, asked.counts = "answered", (counts[0], counts[1])

    def _explain(self, asked: Asked, error: Exception) -> None:
        asked.detail = f"{type(error).__name__}: {str(error)[:200]}"
        status = _status(error)
        if status == 429:
            asked.outcome = "bounded"
        elif self._in_a_kill(asked.began):
            asked.outcome = "killed"
        else:
            asked.outcome = "unexplained"

    def _in_a_kill(self, began: float) -> bool:
        # A kill that has no end yet is going on; whatever was asked before its end may have died of it.
        return any(began <= end for start, end in self._soak.kills if start <= time.monotonic())

    # one way each: text, input tokens, output tokens ------------------------------------------------------------

    def _converse(self, asked: Asked, question: str, hasty: bool) -> tuple[str, int, int]:
        request = self._request(asked.deployment, question)
        answer = self._whole(asked, hasty, lambda client: client.converse(**request))
        usage = answer["usage"]
        text = "".join(block["text"] for block in answer["output"]["message"]["content"])
        return text, usage["inputTokens"], usage["outputTokens"]

    def _converse_stream(self, asked: Asked, question: str, hasty: bool) -> tuple[str, int, int]:
        answer = self._patient.converse_stream(**self._request(asked.deployment, question))
        asked.id = _id(answer)
        return self._events(asked, answer["stream"], hasty, _of_converse)

    def _invoke(self, asked: Asked, question: str, hasty: bool) -> tuple[str, int, int]:
        body = self._body(question)
        found = self._whole(asked, hasty, lambda client: client.invoke_model(modelId=asked.deployment, body=body))
        answer = json.loads(found["body"].read())
        text = "".join(block["text"] for block in answer["output"]["message"]["content"])
        return text, answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]

    def _invoke_stream(self, asked: Asked, question: str, hasty: bool) -> tuple[str, int, int]:
        body = self._body(question)
        answer = self._patient.invoke_model_with_response_stream(modelId=asked.deployment, body=body)
        asked.id = _id(answer)
        return self._events(asked, answer["body"], hasty, _of_nova)

    def _chat(self, asked: Asked, question: str, hasty: bool) -> tuple[str, int, int]:
        client = self._openai.with_options(timeout=self._draw.choice(PATIENCE)) if hasty else self._openai
        try:
            answer = client.chat.completions.create(**self._chat_request(asked.deployment, question))
        except APITimeoutError as error:
            if not hasty:
                raise
            raise HungUp from error
        asked.id = answer.id.removeprefix("chatcmpl-")
        return answer.choices[0].message.content or "", answer.usage.prompt_tokens, answer.usage.completion_tokens

    def _chat_stream(self, asked: Asked, question: str, hasty: bool) -> tuple[str, int, int]:
        stream = self._openai.chat.completions.create(
            stream=True, stream_options={"include_usage": True}, **self._chat_request(asked.deployment, question)
        )
        asked.id = stream.response.headers["x-request-id"]
        return self._events(asked, stream, hasty, _of_chat)

    # parts --------------------------------------------------------------------------------------------------------

    def _whole(self, asked: Asked, hasty: bool, ask: Callable[[Any], Any]) -> Any:
        try:
            answer = ask(self._draw.choice(self._hasty) if hasty else self._patient)
        except ReadTimeoutError as error:
            if not hasty:
                raise
            raise HungUp from error
        asked.id = _id(answer)
        return answer

    def _events(
        self, asked: Asked, events: Any, hasty: bool, read: Callable[[Any], tuple[str, tuple[int, int] | None]]
    ) -> tuple[str, int, int]:
        expected = self._soak.plan.answers[asked.deployment, asked.question]
        patience = self._draw.randrange(1, expected.output_tokens + 1) if hasty else None
        text, counts = "", None
        for number, event in enumerate(events):
            if number == patience:
                events.close()
                if not expected.text.startswith(text):
                    self._soak.wrong.append(f"{asked.deployment} question {asked.question} begins with {text!r}")
                raise HungUp
            more, found = read(event)
            text, counts = text + more, found or counts
        if counts is None:
            raise ConnectionError("the events ended without a usage")
        return text, *counts

    def _request(self, name: str, question: str) -> dict[str, Any]:
        return {
            "modelId": name,
            "messages": [{"role": "user", "content": [{"text": question}]}],
            "inferenceConfig": {"maxTokens": self._soak.plan.tokens, "temperature": 0.0},
        }

    def _body(self, question: str) -> bytes:
        request = self._request("", question)
        del request["modelId"]
        return json.dumps(request).encode()

    def _chat_request(self, name: str, question: str) -> dict[str, Any]:
        messages = [{"role": "user", "content": question}]
        return {"model": name, "messages": messages, "temperature": 0, "max_tokens": self._soak.plan.tokens}


def _id(answer: dict[str, Any]) -> str:
    return str(answer["ResponseMetadata"]["RequestId"])


def _of_converse(event: dict[str, Any]) -> tuple[str, tuple[int, int] | None]:
    text = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    usage = event.get("metadata", {}).get("usage")
    return text, (usage["inputTokens"], usage["outputTokens"]) if usage else None


def _of_nova(event: dict[str, Any]) -> tuple[str, tuple[int, int] | None]:
    return _of_converse(json.loads(event["chunk"]["bytes"]))


def _of_chat(chunk: Any) -> tuple[str, tuple[int, int] | None]:
    text = (chunk.choices[0].delta.content or "") if chunk.choices else ""
    usage = chunk.usage
    return text, (usage.prompt_tokens, usage.completion_tokens) if usage else None


def _status(error: Exception) -> int | None:
    if isinstance(error, ClientError):
        return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))
    return error.status_code if isinstance(error, APIStatusError) else None


# the run ------------------------------------------------------------------------------------------------------


def prepare(folder: Path, arguments: argparse.Namespace) -> tuple[Project, Plan]:
    """The project, and every answer as each adapter gives it alone."""
    tiny = arguments.model == "tiny"
    base = str(tiny_model(folder / "base")) if tiny else "smollm2-135m"
    # Four or five adapters fit: a tiny one has 256 KiB in float32, a real one 10 MB in bfloat16 and 20 in float32.
    memory = 1 if tiny else 64
    project = make_project(folder / "project", base, memory_mb=memory, waiting=max(4, arguments.clients - 6))
    schema = "shop(shop_id, city, opened), sale(sale_id, shop_id, day, amount)"
    systems = [f"You write SQL for shop {number}.\n{schema}" for number in range(arguments.deployments)]
    names = deploy(project, systems, rank=64 if tiny else 16, size=0.5 if tiny else 0.15)
    questions = [f"How much was sold in week {number}?" for number in range(arguments.questions)]
    answers: dict[tuple[str, int], Expected] = {}
    with LocalBackend(project) as backend:
        sampling = Sampling(max_tokens=arguments.tokens)
        for name in names:
            system = backend.system(name)
            for number, question in enumerate(questions):
                *_, whole = backend.converse(name, record(system, question), sampling, caller="alone")
                assert isinstance(whole, Completion)
                answers[name, number] = Expected(whole.text, whole.input_tokens, whole.output_tokens)
    for number in range(len(questions)):  # else a wrong adapter's answer would go unnoticed
        assert len({answers[name, number].text for name in names}) == len(names), "two adapters answer alike"
    return project, Plan(names, questions, arguments.tokens, answers)


def run(project: Project, plan: Plan, arguments: argparse.Namespace, log: Path) -> tuple[Soak, dict[str, Any]]:
    """All requests asked; what the last server says of itself at the end."""
    # The matrices of the tiny model are too small to be shared between cores; threads would only wait for each other.
    environ = {"OMP_NUM_THREADS": "1"} if arguments.model == "tiny" else {}
    with ServerProcess(project, log, environ=environ) as server:
        soak = Soak(plan, server, arguments.requests)
        soak.up.set()
        clients = [Client(soak, seed) for seed in range(arguments.clients)]
        watch = threading.Thread(target=_watch_memory, args=(soak,), daemon=True)
        watch.start()
        for client in clients:
            client.start()
        for life in range(1, arguments.restarts + 1):
            _wait(lambda share=life: soak.ended >= arguments.requests * share // (arguments.restarts + 1))
            _kill(soak)
        for client in clients:
            while client.is_alive():
                client.join(10.0)
                print(f"\r{soak.ended:,} of {soak.total:,}", end="", file=sys.stderr, flush=True)
        soak.over.set()
        watch.join()
        _wait(lambda: ask_server(project.paths, "/sqlora/residency")["running"] == 0, 30.0)
        left = ask_server(project.paths, "/sqlora/residency")
    return soak, left


def _kill(soak: Soak) -> None:
    soak.up.clear()
    started = time.monotonic()
    soak.kills.append((started, float("inf")))
    soak.server.kill()
    soak.memory.append([])
    soak.server.start()
    soak.kills[-1] = (started, time.monotonic() + SLACK_SECONDS)
    soak.up.set()


def _watch_memory(soak: Soak) -> None:
    while not soak.over.wait(SAMPLE_SECONDS):
        life = soak.memory[-1]
        if (rss := soak.server.rss()) is not None:
            life.append((time.monotonic(), rss))


def _wait(holds: Callable[[], bool], seconds: float = float("inf")) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)


# the checks ---------------------------------------------------------------------------------------------------


def check_usage(soak: Soak, rows: list[UsageRow]) -> list[str]:
    """What is wrong with the bill."""
    faults: list[str] = []
    by_id = {row.request_id: row for row in rows if row.caller != "alone"}
    if len(by_id) != sum(row.caller != "alone" for row in rows):
        faults.append("rows without a request id, or several with one")
    for asked in (asked for asked in soak.done if asked.id):
        row = by_id.pop(asked.id, None)
        said = row and (row.deployment, row.input_tokens, row.output_tokens)
        if asked.counts and said != (asked.deployment, *asked.counts):
            faults.append(f"{asked.way} {asked.id} was told {asked.counts}, its row says {said}")
        elif row and row.output_tokens > soak.plan.answers[asked.deployment, asked.question].output_tokens:
            faults.append(f"{asked.way} {asked.id}, {asked.outcome}: row {said}")
    unheard = Counter(asked.caller for asked in soak.done if not asked.id)
    for caller, count in Counter(row.caller for row in by_id.values()).items():
        if count > unheard[caller]:
            faults.append(f"{caller} has {count} rows more than answers, and {unheard[caller]} requests without one")
    return faults


def check_memory(lives: list[list[tuple[float, int]]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Thirds of each life, and which of them grow."""
    table, faults = [], []
    for number, life in enumerate(lives, 1):
        third = len(life) // 3
        if third < FEWEST_SAMPLES:
            table.append({"life": number, "samples": len(life), "judged": False})
            continue
        first, middle, last = (
            statistics.median(rss for _, rss in life[at : at + third]) for at in (0, third, len(life) - third)
        )
        mb = {name: round(rss / 2**20, 1) for name, rss in (("first", first), ("middle", middle), ("last", last))}
        table.append({"life": number, "samples": len(life), "rss_mb": mb})
        if last - middle > max(GROWTH * middle, GROWTH_BYTES):
            faults.append(f"life {number}: {mb['middle']} MB in the middle third, {mb['last']} MB in the last")
    return table, faults


def report(soak: Soak, left: dict[str, Any], rows: list[UsageRow], seconds: float) -> dict[str, Any]:
    outcomes = Counter(asked.outcome for asked in soak.done)
    memory, memory_faults = check_memory(soak.memory)
    unexplained = [f"{asked.way}: {asked.detail}" for asked in soak.done if asked.outcome == "unexplained"]
    rest = [] if left["running"] == left["waiting"] == 0 else ["requests are still running or waiting"]
    rest += [f"{adapter['model']} is still leased" for adapter in left["adapters"] if adapter["leases"]]
    faults = {
        "answers": soak.wrong,
        "usage": check_usage(soak, rows),
        "memory": memory_faults,
        "errors": unexplained,
        "rest": rest,
        "asked": [] if soak.ended == soak.total else [f"{soak.ended} of {soak.total} were asked"],
        "evictions": [] if left["evictions"] else ["no adapter was ever evicted"],
    }
    return {
        "machine": machine(),
        "requests": soak.ended,
        "refused_and_asked_again": outcomes["bounded"],
        "seconds": round(seconds, 1),
        "requests_per_second": round(soak.ended / seconds, 1),
        "outcomes": dict(outcomes),
        "by_way": {way: dict(Counter(asked.outcome for asked in soak.done if asked.way == way)) for way in WAYS},
        "errors": dict(Counter(f"{a.outcome}: {a.detail[:90]}" for a in soak.done if a.detail).most_common(20)),
        "usage_rows": sum(row.caller != "alone" for row in rows),
        "kills_seconds_down": [round(end - start - SLACK_SECONDS, 1) for start, end in soak.kills],
        "last_life": {key: left[key] for key in ("loads", "evictions", "running", "waiting")},
        "memory": memory,
        "checks": {name: "ok" if not found else found[:MOST_SHOWN] for name, found in faults.items()},
        "passed": not any(faults.values()),
    }


def show(found: dict[str, Any]) -> None:
    outcomes = sorted({name for counts in found["by_way"].values() for name in counts})
    print(f"\n{'':32}" + "".join(f"{name:>13}" for name in outcomes))
    for way, counts in found["by_way"].items():
        print(f"{way:32}" + "".join(f"{counts.get(name, 0):13,}" for name in outcomes))
    print(f"{'':32}" + "".join(f"{found['outcomes'].get(name, 0):13,}" for name in outcomes))
    for name, result in found["checks"].items():
        print(f"{name:12} {result if isinstance(result, str) else 'FAILED ' + '; '.join(result)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("tiny", "real"), default="tiny")
    for name, value in (("requests", 20_000), ("clients", 32), ("deployments", 20), ("restarts", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--questions", type=int, default=8, help="different questions for each deployment")
    parser.add_argument("--tokens", type=int, default=12, help="longest answer")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--log", type=Path, help="where the server's log goes (default: nowhere)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, plan = prepare(folder, arguments)
        started = time.monotonic()
        soak, left = run(project, plan, arguments, arguments.log or folder / "serve.log")
        seconds = time.monotonic() - started
        with State(project.paths.database) as state:
            rows = state.usage.list(limit=10**9)
    found = report(soak, left, rows, seconds)
    show(found)
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if not found["passed"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
