"""Many adapters over one base model: the memory they take, and how soon one that slept on disk answers.

    python benchmarks/on_demand.py --json on_demand.json

``sqlora serve`` runs as a process of its own over 50 deployments of 50 rank-16 adapters of random numbers, and is asked
by boto3's ConverseStream, one request after another, on the reference workload (800 tokens in, 60 out):

    first      the very first request after the start: the base model is loaded, too
    memory     resident memory after all deployments were asked, over that with the base model alone (bar: 2 GiB)
    new        base model in memory, adapter on disk, nobody ever asked this deployment: its schema is read, too
    cold       base model in memory, adapter and the schema's key/value cache on disk: what scale to zero costs
    warm       asked before, still in memory

Times are from the call to the first text event, seconds. The files are in the operating system's page cache, as they
are on a machine that has the memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sqlora.models.base import resolve_base_model
from sqlora.prompting import encode, record, system_text
from sqlora.serve.running import ask_server
from tests.process import ServerProcess, boto_client, deploy, machine, make_project

BAR_BYTES = 2 * 2**30
COLUMNS = "name city country phone opened manager price quantity status category weight email segment region currency"
QUESTION = "For each of the last {} months, which stores sold more than their region's average?"


def schema_of(tokens: int, tokenizer: Any) -> str:
    """A system text whose conversation with a question has so many tokens, or a few less."""
    columns, tables = COLUMNS.split(), list[str]()
    while True:
        number = len(tables)
        chosen = [columns[(number + step * (1 + number % 4)) % len(columns)] for step in range(6)]
        row = f"table_{number}(table_{number}_id, " + ", ".join(dict.fromkeys(chosen)) + ")"
        text = system_text("duckdb", "\n".join([*tables, row]))
        if len(encode(tokenizer, record(text, QUESTION.format(12))).prompt) > tokens:
            return system_text("duckdb", "\n".join(tables))
        tables.append(row)


class Asker:
    """Asks deployments and keeps the times."""

    def __init__(self, url: str, output: int) -> None:
        self._client, self._output = boto_client(url), output
        self.usages: list[dict[str, int]] = []

    def ask(self, deployment: str, number: int, system: str | None = None) -> float:
        """Seconds to the first text."""
        further: dict[str, Any] = {"system": [{"text": system}]} if system else {}
        started = time.perf_counter()
        answer = self._client.converse_stream(
            modelId=deployment,
            messages=[{"role": "user", "content": [{"text": QUESTION.format(number)}]}],
            inferenceConfig={"maxTokens": self._output, "temperature": 0.0},
            **further,
        )
        first: float | None = None
        for event in answer["stream"]:
            if "contentBlockDelta" in event and first is None:
                first = time.perf_counter() - started
            if "metadata" in event:
                self.usages.append(event["metadata"]["usage"])
        assert first is not None
        return first


def spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.05, 0.95)]
    return {
        "n": len(ordered),
        "median": round(statistics.median(ordered), 3),
        "p5": round(at[0], 3),
        "p95": round(at[1], 3),
        "low": round(ordered[0], 3),
        "high": round(ordered[-1], 3),
    }


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    project = make_project(folder, arguments.base)
    tokenizer = resolve_base_model(arguments.base).load_tokenizer()
    system = schema_of(arguments.input, tokenizer)
    names = deploy(project, [system] * arguments.deployments, rank=arguments.rank)
    found: dict[str, Any] = {"machine": machine(), "deployments": len(names), "rank": arguments.rank}
    log = folder / "serve.log"
    with ServerProcess(project, log) as server:
        asker = Asker(server.url, arguments.output)
        found["idle_rss_bytes"] = server.rss()
        found["first_request_seconds"] = round(asker.ask("base", 12, system), 3)
        asker.ask("base", 6, system)
        base_rss = server.rss() or 0
        new = [asker.ask(name, 12) for name in names]
        all_rss = server.rss() or 0
        kept = ask_server(project.paths, "/sqlora/residency")
        last = names[-1]
        warm = [asker.ask(last, 2 + turn) for turn in range(arguments.repeats)]
        usages = asker.usages
    # With room for one adapter, each deployment's turn finds its own on disk.
    with ServerProcess(project, log, "--memory-mb", "1") as server:
        asker = Asker(server.url, arguments.output)
        asker.ask("base", 12, system)
        cold = [asker.ask(names[turn % len(names)], 3 + turn) for turn in range(arguments.repeats)]
        slept = ask_server(project.paths, "/sqlora/residency")
        usages = usages + asker.usages
    assert kept["loads"] == len(names)
    assert slept["loads"] == arguments.repeats, "an adapter was still in memory"
    return found | {
        "input_tokens": spread([float(usage["inputTokens"]) for usage in usages]),
        "output_tokens": spread([float(usage["outputTokens"]) for usage in usages]),
        "base_rss_bytes": base_rss,
        "all_rss_bytes": all_rss,
        "over_base_bytes": all_rss - base_rss,
        "resident_adapters": len(kept["adapters"]),
        "adapter_bytes": sum(adapter["bytes"] for adapter in kept["adapters"]),
        "under_2_gib": all_rss - base_rss < BAR_BYTES,
        "first_token_seconds": {"new": spread(new), "cold": spread(cold), "warm": spread(warm)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="smollm2-135m")
    for name, value in (("deployments", 50), ("rank", 16), ("input", 800), ("output", 60), ("repeats", 50)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments)
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if not found["under_2_gib"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
