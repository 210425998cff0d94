"""The whole way through AWS, on this machine: every command and what it says, as a page of the docs.

    python examples/aws/walk.py bedrock --page docs/tutorial/aws-bedrock.md
    python examples/aws/walk.py sagemaker --page docs/tutorial/aws-sagemaker.md

`sqlora serve --aws` stands in for AWS: the commands speak to it by boto3 as they would to AWS, it trains a small model
for real where AWS would train Nova, and its bills are what AWS would have charged. Ids, times and folders of this
machine are left out of the page. Ends with exit code 1 when a command fails that should not, or succeeds that should.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CITIES = ("Leeds", "York", "Cork", "Oslo", "Bergen", "Galway", "Derby", "Malmo")
QUESTION = "what is the number of stores in Oslo"
START_SECONDS = 120.0
COMMAND_SECONDS = 1800.0
WIDTH = 118

CLOUD = """[project]
name = "cloud"
[train]
base_model = {base}
"""

SHOP = """[project]
name = "shop"
dialect = "sqlite"

[database]
url = "sqlite:///shop.sqlite"

[[sources]]
kind = "pairs"
path = "questions.jsonl"
split = "train"

[[sources]]
kind = "pairs"
path = "validation.jsonl"
split = "validation"

[[sources]]
kind = "pairs"
path = "test.jsonl"
split = "test"

[train]
backend = "{backend}"
epochs = {epochs}

[aws]
confirm_above = 1.0
"""


@dataclass(frozen=True)
class Step:
    """One command, what it is for, and how it ends."""

    command: str
    why: str
    code: int = 0


def steps(backend: str) -> list[Step]:
    """The way, in order; it differs between the backends in what `doctor` makes and `train` shows."""
    model = f"shop-{backend}"
    return [
        Step("sqlora prepare", "Questions and their SQL, checked against the schema and run, become a dataset:"),
        Step("sqlora doctor", "Nothing is there yet in the account, and `doctor` says what is missing:", code=1),
        Step("sqlora doctor --fix --yes", "It can make what is missing, with no more rights than the job needs:"),
        Step("sqlora train --no-input", "The bill comes before the training; without somebody to ask, nothing is "
             "spent:", code=1),
        Step("sqlora train --no-input --yes", "Agreed. Upload, training and the custom model, with a progress line:"),
        Step(f"sqlora deploy {model}", "A deployment on demand costs nothing while nobody asks:"),
        Step(f'sqlora ask "{QUESTION}" --run', "A question, its SQL, and its rows:"),
        Step(f"sqlora evaluate --model base --model {model} --no-latency", "Base against tuned, by execution:"),
        Step("sqlora usage show --by deployment", "What was used:"),
        Step("sqlora cost", "And what it costs:"),
        Step("sqlora destroy --plan", "What the project has made, in the order in which it can go:"),
        Step("sqlora destroy --yes", "Gone, in the account and here:"),
    ]


def write_shop(folder: Path, backend: str, epochs: int) -> None:
    """A database of sixty stores and questions about seven of its cities."""
    folder.mkdir()
    (folder / "sqlora.toml").write_text(SHOP.format(backend=backend, epochs=epochs))
    with sqlite3.connect(folder / "shop.sqlite") as shop:
        shop.execute("CREATE TABLE store (store_id INTEGER PRIMARY KEY, store_name TEXT, city TEXT, opened_on TEXT)")
        rows = [(n, f"Shop {n}", CITIES[n % 8], f"20{10 + n % 12}-03-01") for n in range(60)]
        shop.executemany("INSERT INTO store VALUES (?, ?, ?, ?)", rows)
    shop.close()
    pairs: dict[str, list[tuple[str, str]]] = {"questions": [], "validation": [], "test": []}
    for city in CITIES[:-1]:
        here = f"FROM store WHERE city = '{city}'"
        count, latest = f"SELECT COUNT(*) {here}", f"SELECT MAX(opened_on) {here}"
        pairs["questions"] += [
            (f"how many stores are in {city}", count),
            (f"count the {city} stores", count),
            (f"which stores are in {city}", f"SELECT store_name {here}"),
            (f"when did the latest store in {city} open", latest),
            (f"date of the last opening in {city}", latest),
        ]
        pairs["validation"].append((f"number of shops in {city}", count))
        # No query of this form is taught: the parts are, this way of putting them together is not.
        pairs["test"].append((f"when did the first store in {city} open", f"SELECT MIN(opened_on) {here}"))
    first = "SELECT MIN(opened_on) FROM store"
    for question in ("when did the first store open", "date of the first opening", "our oldest store is from when"):
        pairs["questions"].append((question, first))
    for name, lines in pairs.items():
        text = "".join(json.dumps({"question": question, "sql": sql}) + "\n" for question, sql in lines)
        (folder / f"{name}.jsonl").write_text(text)


@contextmanager
def cloud(folder: Path, base_model: str) -> Iterator[str]:
    """The URL of a server that stands in for AWS, with a project of its own."""
    folder.mkdir()
    (folder / "sqlora.toml").write_text(CLOUD.format(base=json.dumps(base_model)))
    command = [sys.executable, "-m", "sqlora", "-C", str(folder), "serve", "--aws", "--port", "0", "--json"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert server.stdout is not None
    try:
        shown, until = "", time.monotonic() + START_SECONDS
        for line in server.stdout:
            shown += line
            if shown.rstrip().endswith("}") or time.monotonic() > until:
                break
        yield json.loads(shown)["url"]
    finally:
        server.terminate()
        server.wait(START_SECONDS)


class Way:
    """Commands in a folder, against an endpoint."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SQLORA_"))},
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "COLUMNS": str(WIDTH),
            "SQLORA_CACHE": os.environ.get("SQLORA_CACHE", ""),
        }
        if not self._environ["SQLORA_CACHE"]:
            del self._environ["SQLORA_CACHE"]

    def run(self, step: Step) -> str:
        """What the command said, on both streams; RuntimeError when it ended otherwise than the step says."""
        program = [sys.executable, "-m", "sqlora", *shlex.split(step.command)[1:]]
        done = subprocess.run(
            program, cwd=self._folder, env=self._environ, text=True, check=False, timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        if done.returncode != step.code:
            raise RuntimeError(f"{step.command} ended with {done.returncode}, not {step.code}:\n{done.stdout}")
        return done.stdout


_ID = re.compile(r"\b(?=[a-z0-9]*[0-9])(?=[a-z0-9]*[a-z])[a-z0-9]{12}\b")


def clean(text: str, folder: Path) -> str:
    """Without what is of this machine or this run only: ids, folders, ports, moments."""
    text = text.replace(str(folder.resolve()), "~/shop").replace(str(folder), "~/shop")
    text = text.replace(sys.executable, ".venv/bin/python")
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:8080", text)
    text = re.sub(r"20\d\d-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "…", text)
    text = _ID.sub("…", text)
    lines = [line.rstrip() for line in text.replace("\r", "\n").splitlines()]
    return "\n".join(line for number, line in enumerate(lines) if line or (number and lines[number - 1]))


def page(backend: str, shown: list[tuple[Step, str]]) -> str:
    """The page of the docs."""
    title = {"bedrock": "Through Amazon Bedrock", "sagemaker": "Through SageMaker AI"}[backend]
    head = f"""# {title}, command by command

Written by `python examples/aws/walk.py {backend}`, which CI runs: the output below is what the commands said. `sqlora serve --aws`
stands in for AWS (`AWS_ENDPOINT_URL` names it, any credentials do on loopback), so a small model was trained for real where AWS
trains Nova, and nothing was billed; with an account of your own, leave `AWS_ENDPOINT_URL` away, and the commands are the same.
Ids and moments are shown as …

The project: a database of sixty stores, 38 questions about seven cities, and in `sqlora.toml` `backend = "{backend}"` under `[train]`.
"""
    parts = [head]
    for step, output in shown:
        ending = f"\n(exit code {step.code})" if step.code else ""
        parts.append(f"{step.why}\n\n```console\n$ {step.command}\n{output.strip()}{ending}\n```\n")
    return "\n".join(parts)


def walk(backend: str, folder: Path, base_model: str, epochs: int) -> list[tuple[Step, str]]:
    """Every step done, with what it said."""
    shown = []
    shop = folder / "shop"
    write_shop(shop, backend, epochs)
    with cloud(folder / "cloud", base_model) as url:
        way = Way(shop, url)
        for step in steps(backend):
            print(f"$ {step.command}", file=sys.stderr, flush=True)
            output = way.run(step)
            print(output, file=sys.stderr, flush=True)
            shown.append((step, clean(output, shop)))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("bedrock", "sagemaker"))
    parser.add_argument("--page", type=Path, help="where the page goes (default: nowhere)")
    parser.add_argument("--base-model", default="smollm2-135m", help="what the stand-in trains where AWS trains Nova")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        try:
            shown = walk(arguments.backend, Path(name), arguments.base_model, arguments.epochs)
        except RuntimeError as error:
            sys.exit(str(error))
    if arguments.page:
        arguments.page.write_text(page(arguments.backend, shown), encoding="utf-8")


if __name__ == "__main__":
    main()
