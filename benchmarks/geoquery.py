"""GeoQuery's published question split: train on train, choose by dev, test once on test.

    python benchmarks/geoquery.py --data ../shared/data/geoquery --json geoquery.json

The folder holds train.jsonl, dev.jsonl and test.jsonl ({"question", "sql"}) and geography.sqlite. Training queries
are rewritten by rule into a shorter form that gives the same rows (aliases such as CITYalias0 removed); test
references run as published. Peers: a rough prototype reached 76.7 % of 279, 3.9 % of its answers not running.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from sqlora.errors import SqloraError
from sqlora.evaluate.statistics import share_interval
from sqlora.prompting import clean_sql, encode, record, shared_prefix, system_text
from sqlora.sql.compare import compare, is_ordered
from sqlora.sql.execute import Limits, open_database


@dataclass(frozen=True)
class Pair:
    """A question and its reference query in SQLite's SQL."""

    question: str
    sql: str


@dataclass(frozen=True)
class Answer:
    """What is scored, and what greedy decoding gave."""

    sql: str
    greedy: str


def read(path: Path) -> list[Pair]:
    with open(path, encoding="utf-8") as lines:
        return [Pair(row["question"], row["sql"].strip().rstrip(";").strip()) for row in map(json.loads, lines)]


def standard_quotes(sql: str) -> str:
    """SQLite takes "kansas" for a string where no column has that name; other parsers don't."""
    return re.sub(r'"([^"]*)"', lambda match: "'" + match[1].replace("'", "''") + "'", sql)


def shorten(sql: str) -> str:
    """The same query in lower case without needless aliases and qualifiers."""
    tree = sqlglot.parse_one(standard_quotes(sql), read="sqlite")
    for node in tree.find_all(exp.Identifier):
        node.set("this", node.this.lower())
        node.set("quoted", False)
    for select in tree.find_all(exp.Select):
        sources = [node for node in _sources(select) if isinstance(node, exp.Table)]
        if len(sources) == 1 and len(list(_sources(select))) == 1 and sources[0].alias:
            alias = sources[0].alias
            for column in tree.find_all(exp.Column):
                if column.table == alias and column.find_ancestor(exp.Select) is select:
                    column.set("table", None)
    used = {column.table for column in tree.find_all(exp.Column) if column.table}
    tables = [table for table in tree.find_all(exp.Table) if table.alias]
    names = [table.name for table in tables if table.alias in used]
    count: dict[str, int] = {}
    for table in tables:
        alias = table.alias
        if alias not in used:
            table.set("alias", None)
            continue
        count[table.name] = count.get(table.name, 0) + 1
        alone = names.count(table.name) == 1
        short = table.name if alone else f"{table.name[0]}{count[table.name]}"
        for column in tree.find_all(exp.Column):
            if column.table == alias:
                column.set("table", exp.to_identifier(short))
        table.set("alias", None if alone else exp.TableAlias(this=exp.to_identifier(short)))
    return tree.sql(dialect="sqlite")


def _sources(select: exp.Select) -> Iterable[exp.Expression]:
    source = select.args.get("from_") or select.args.get("from")
    if source is not None:
        yield source.this
    for join in select.args.get("joins") or []:
        yield join.this


def write_dataset(folder: Path, system: str, splits: dict[str, list[Pair]], database: Any) -> dict[str, int]:
    """Fine-tuning data; queries whose short form does not give the same rows keep their published form."""
    kept = {"shortened": 0, "as published": 0}
    for name, pairs in splits.items():
        with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as out:
            for pair in pairs:
                sql = standard_quotes(pair.sql)
                try:
                    short = shorten(pair.sql)
                    if compare(database.run(pair.sql), database.run(short), ordered=False).equal:
                        sql = short
                except (SqloraError, sqlglot.errors.SqlglotError):
                    pass
                kept["shortened" if sql != standard_quotes(pair.sql) else "as published"] += 1
                out.write(json.dumps(record(system, pair.question, sql)) + "\n")
    return kept


def answer(engine: Any, adapter: str, system: str, pairs: list[Pair], database: Any, beams: int) -> list[Answer]:
    """Greedy answers; those that do not run give way to the best beam that does, as `sqlora ask --run` does it."""
    from sqlora.backends.revise import revise
    from sqlora.engines.base import Completion, Request, Sampling

    class Batching:
        def converse_batch(self, name: str, records: Any, sampling: Sampling, /, *, caller: str) -> list[Completion]:
            prompts = [encode(engine.tokenizer, each).prompt for each in records]
            done: list[Completion] = engine.generate([Request(p, name, sampling, prefix) for p in prompts])
            return done

    def runs(_: int, text: str) -> bool:
        try:
            database.run(clean_sql(text), Limits(seconds=20))
        except SqloraError:
            return False
        return True

    records = [record(system, pair.question) for pair in pairs]
    prefix = shared_prefix([encode(engine.tokenizer, each).prompt for each in records])
    sampling = Sampling(max_tokens=256)
    first = Batching().converse_batch(adapter, records, sampling, caller="benchmark")
    found = revise(Batching(), adapter, records, first, runs, sampling, beams, caller="benchmark")
    return [Answer(clean_sql(done.text), clean_sql(plain.text)) for done, plain in zip(found, first, strict=True)]


def score(database: Any, pairs: list[Pair], answers: list[Answer]) -> dict[str, Any]:
    right = exact = broken = skipped = revised = 0
    wrong = []
    for pair, each in zip(pairs, answers, strict=True):
        sql = each.sql
        try:
            expected = database.run(pair.sql, Limits(seconds=20))
        except SqloraError:
            skipped += 1  # the published reference itself does not run
            continue
        revised += sql != each.greedy
        exact += sql == _short_or_none(pair.sql)
        try:
            got = database.run(sql, Limits(seconds=20))
        except SqloraError as error:
            broken += 1
            wrong.append({"question": pair.question, "sql": sql, "why": str(error)[:200]})
            continue
        ordered = is_ordered(sqlglot.parse_one(standard_quotes(pair.sql), read="sqlite"))
        verdict = compare(expected, got, ordered=ordered)
        right += verdict.equal
        if not verdict.equal:
            wrong.append({"question": pair.question, "sql": sql, "expected": pair.sql, "why": verdict.reason})
    count = len(pairs) - skipped
    interval = share_interval(right, count)
    return {
        "n": count,
        "execution_accuracy": right / count,
        "interval": [interval.low, interval.high],
        "exact": exact / count,
        "does_not_run": broken / count,
        "revised": revised,
        "references_that_do_not_run": skipped,
        "wrong": wrong,
    }


def _short_or_none(sql: str) -> str | None:
    try:
        return shorten(sql)
    except sqlglot.errors.SqlglotError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the three splits and geography.sqlite")
    parser.add_argument("--work", type=Path, help="folder for the run; the same folder goes on where it stopped")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--epochs", type=float, default=10)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--prefix-every", type=int, default=4, help="steps that share one computation of the schema")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--beams", type=int, default=4, help="answers looked at where the first does not run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dev-only", action="store_true", help="score dev, leave test alone (for choosing settings)")
    arguments = parser.parse_args()

    from sqlora.engines.torch import TorchEngine
    from sqlora.models.base import resolve_base_model
    from sqlora.train.loop import TrainingSpec, train
    from sqlora.train.recipe import load_recipe

    work = arguments.work or Path(tempfile.mkdtemp(prefix="geoquery-"))
    dataset = work / "dataset"
    dataset.mkdir(parents=True, exist_ok=True)
    database = open_database(f"sqlite:///{(arguments.data / 'geography.sqlite').resolve()}")
    system = system_text("SQLite", database.schema().to_prompt("compact"))
    splits = {name: read(arguments.data / f"{name}.jsonl") for name in ("train", "dev", "test")}
    kept = write_dataset(dataset, system, {"train": splits["train"], "validation": splits["dev"]}, database)
    overrides = {
        "epochs": arguments.epochs, "learning_rate": arguments.learning_rate, "rank": arguments.rank,
        "alpha": 2.0 * arguments.rank, "batch_size": arguments.batch_size, "prefix_every": arguments.prefix_every,
        "patience": 100, "minutes": None, "validate_every": 50,
    }  # fmt: skip
    spec = TrainingSpec("smollm2-135m", dataset, load_recipe("standard", overrides), arguments.seed)
    started = time.monotonic()
    result = train(spec, work / "job", lambda progress: print(json.dumps(progress.as_dict()), flush=True))
    minutes = (time.monotonic() - started) / 60
    engine = TorchEngine(resolve_base_model("smollm2-135m"))
    engine.load_adapter("geoquery", result.adapter)
    report: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {platform.system()}",
        "recipe": spec.recipe.model_dump(),
        "training_queries": kept,
        "training_minutes": round(result.seconds / 60, 1),
        "training_minutes_this_process": round(minutes, 1),
        "train_loss": result.train_loss,
        "validation_loss": result.validation_loss,
        "validation_exact": result.validation_exact,
    }
    for name in ("dev",) if arguments.dev_only else ("dev", "test"):
        found = answer(engine, "geoquery", system, splits[name], database, arguments.beams)
        report[name] = score(database, splits[name], found)
    print(json.dumps({key: value for key, value in report.items() if key not in ("dev", "test")}))
    for name in ("dev", "test"):
        if name in report:
            print(name, {key: value for key, value in report[name].items() if key != "wrong"})
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
