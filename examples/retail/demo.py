"""The whole way on this machine, by the same commands a user types: `make demo`.

Runs init, prepare, train, deploy, evaluate, ask and cost in a folder of its own, shows each command and its output,
and ends with a table. Run again it goes on where it stopped, and what is done is not done twice.
Leaves ``demo-result.json`` beside the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

QUESTION = "top 5 stores by revenue in FY2026"
STAGES = ("init", "prepare", "train", "deploy", "evaluate")


def sqlora(folder: Path, *arguments: str) -> None:
    """Run a command with its output on the terminal; its failure is the demo's."""
    print(f"\n$ sqlora {' '.join(json.dumps(a) if ' ' in a else a for a in arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "sqlora", *arguments], cwd=folder, check=False)
    if done.returncode:
        print("\nThe demo stopped here; `make demo` goes on from this step.", file=sys.stderr)
        sys.exit(done.returncode)


class Clock:
    """Minutes of each stage, kept in a file so that a demo in two parts still knows its first."""

    def __init__(self, path: Path, install: float) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        self.seconds["install"] = install

    def run(self, stage: str, folder: Path, *arguments: str) -> None:
        """Run a stage's command; a stage interrupted and taken up again adds its parts."""
        started = time.monotonic()
        try:
            sqlora(folder, *arguments)
        finally:
            done = json.loads(self.path.read_text()) if self.path.exists() else {}
            if stage not in done.get("finished", []):
                self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started
                self._write(done.get("finished", []))
        self._write(sorted({*done.get("finished", []), stage}))

    def _write(self, finished: list[str]) -> None:
        if self.path.parent.exists():
            aside = self.path.with_suffix(".part")
            aside.write_text(json.dumps({**self.seconds, "finished": finished}))
            os.replace(aside, self.path)

    def minutes(self) -> dict[str, float]:
        """Rounded, with their total; init counts as preparing and deploying as training."""
        seconds = {name: float(self.seconds.get(name, 0.0)) for name in ("install", *STAGES)}
        shown = {
            "install": seconds["install"],
            "prepare": seconds["init"] + seconds["prepare"],
            "train": seconds["train"] + seconds["deploy"],
            "evaluate": seconds["evaluate"],
        }
        shown["total"] = sum(shown.values())
        return {name: round(value / 60, 2) for name, value in shown.items()}


def newest_report(folder: Path) -> Path:
    return max((folder / ".sqlora" / "evaluations").glob("*/report.json"), key=lambda path: path.stat().st_mtime)


def accuracy(model: dict[str, Any]) -> dict[str, Any]:
    share = model["execution_accuracy"]
    return {
        "n": share["n"],
        "execution_accuracy": share["value"],
        "interval": [share["low"], share["high"]],
        "valid": model["valid"]["value"],
    }


def median(latency: dict[str, Any] | None, key: str) -> float | None:
    return latency[key]["median"] if latency and latency.get(key) else None


def result(folder: Path, clock: Clock) -> dict[str, Any]:
    from sqlora.cost.model import dollars, monthly_cost

    path = newest_report(folder)
    base, tuned = json.loads(path.read_text())["models"][:2]
    cost = monthly_cost()
    return {
        "minutes": clock.minutes(),
        "accuracy": {"base": accuracy(base), "tuned": accuracy(tuned)},
        "latency": {
            "cold_first_token_seconds": median(tuned["latency"], "cold_first_token"),
            "warm_first_token_seconds": median(tuned["latency"], "warm_first_token"),
            "tokens_per_second": median(tuned["latency"], "tokens_per_second"),
        },
        "cost": {
            "queries_a_month": cost.workload.queries,
            "bedrock_tokens": dollars(cost.tokens.amount),
            "bedrock_with_storage": dollars(cost.on_demand.total),
        },
        "report": str(path.with_name("report.html")),
    }


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="What came out", title_justify="left")
    for name in ("", "base", "tuned"):
        table.add_column(name, justify="left" if not name else "right")
    sides = [found["accuracy"]["base"], found["accuracy"]["tuned"]]
    table.add_row(f"right answers of {sides[1]['n']}", *(percent(side["execution_accuracy"]) for side in sides))
    table.add_row("  95 % interval", *(" to ".join(percent(end) for end in side["interval"]) for side in sides))
    table.add_row("valid SQL", *(percent(side["valid"]) for side in sides))
    latency, cost, minutes = found["latency"], found["cost"], found["minutes"]
    for words, key, unit in (
        ("first token, cold", "cold_first_token_seconds", "s"),
        ("first token, warm", "warm_first_token_seconds", "s"),
        ("tokens a second", "tokens_per_second", ""),
    ):
        value = latency[key]
        table.add_row(words, "", "–" if value is None else f"{value:.2f} {unit}".strip())
    table.add_row(f"{cost['queries_a_month']:,} questions a month on Bedrock", "", cost["bedrock_tokens"])
    table.add_row("  with storage of the model", "", cost["bedrock_with_storage"])
    table.add_row("minutes", "", f"{minutes['total']:.1f}")
    console = Console()
    console.print(table)
    console.print(f"report: {found['report']}", soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="the demo's project folder")
    parser.add_argument("--install-seconds", type=Path, help="file with the seconds that installing took")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    install = float(arguments.install_seconds.read_text()) if arguments.install_seconds else 0.0
    clock = Clock(folder / ".demo.json", install)
    if not (folder / "sqlora.toml").exists():
        clock.run("init", folder.parent, "init", str(folder), "--example", "retail")
    clock.run("prepare", folder, "prepare")
    clock.run("train", folder, "train")
    clock.run("deploy", folder, "deploy", "retail", "--name", "retail")
    clock.run("evaluate", folder, "evaluate", "--model", "base", "--model", "retail")
    sqlora(folder, "ask", QUESTION, "--deployment", "retail", "--run")
    sqlora(folder, "cost")
    found = result(folder, clock)
    target = folder.parent / "demo-result.json"
    aside = target.with_suffix(".part")
    aside.write_text(json.dumps(found, indent=1) + "\n")
    os.replace(aside, target)
    print()
    show(found)


if __name__ == "__main__":
    main()
