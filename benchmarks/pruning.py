"""How much of what a query needs a pruned schema still shows: recall of tables and columns, by budget of tokens.

    python benchmarks/pruning.py --spider spider-train [--databases 20] [--questions 2000] [--out FILE.json]

Spider's databases are small, so ``--databases`` of them at a time are laid together into one, as in a warehouse: their
tables stand side by side, and neither a question nor the name of a namespace says which of them it is about. Names and
keys only: no comments, no values. `whole` is the share of questions whose tables and columns are all shown.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot.errors import SqlglotError

from sqlora.sql.schema import Column, ForeignKey, Schema, Table
from sqlora.sql.schema.needed import Needed, Recall, needed_by, recall
from sqlora.sql.schema.prune import Pruner

BUDGETS = (250, 500, 1000, 2000, 4000)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--spider", type=Path, required=True, help="folder with tables.json.gz and train_spider.json.gz"
    )
    parser.add_argument("--databases", type=int, default=20, help="how many are laid together; 0: all of them")
    parser.add_argument("--questions", type=int, default=2000, help="how many to draw; 0: all")
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS), help="tokens")
    parser.add_argument("--show", type=int, default=0, help="print so many questions that lack something at the first")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    result = measure(asked)
    print(f"{result['questions']} questions, {result['groups']} schemas of {result['tables']:.0f} tables and "
          f"{result['columns']:.0f} columns on average ({result['tokens']:.0f} tokens)")  # fmt: skip
    print(f"{'tokens':>8}{'tables':>10}{'columns':>10}{'whole':>10}{'shown':>10}{'ms':>8}")
    for row in result["budgets"]:
        shares = "".join(f"{row[key]:>10.1%}" for key in ("tables", "columns", "whole"))
        print(f"{row['tokens']:>8}{shares}{row['shown']:>10.1f}{row['milliseconds']:>8.2f}")
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Recall at every budget over the questions drawn."""
    parts = {each["db_id"]: each for each in read(asked.spider / "tables.json.gz")}
    for number, part in enumerate(parts.values()):
        part["space"] = f"s{number}"
    questions = [each for each in read(asked.spider / "train_spider.json.gz") if each["db_id"] in parts]
    names = sorted({each["db_id"] for each in questions})
    random.Random(0).shuffle(names)
    size = asked.databases or len(names)
    groups = [names[start : start + size] for start in range(0, len(names), size)]
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    schemas = [Schema(tuple(t for name in group for t in tables(parts[name])), "sqlite") for group in groups]
    alone = {name: Schema(tuple(tables(parts[name])), "sqlite") for name in names}
    if asked.questions and asked.questions < len(questions):
        questions = random.Random(0).sample(questions, asked.questions)
    wanted = [
        (each["question"], group_of[each["db_id"]], need) for each in questions if (need := needed(each, parts, alone))
    ]
    budgets = [
        at_budget(tokens, schemas, wanted, asked.show if tokens == asked.budgets[0] else 0) for tokens in asked.budgets
    ]
    return {
        "questions": len(wanted),
        "groups": len(groups),
        "tables": sum(len(schema.tables) for schema in schemas) / len(schemas),
        "columns": sum(len(table.columns) for schema in schemas for table in schema.tables) / len(schemas),
        "tokens": sum(Pruner(schema, 1000).size for schema in schemas) / len(schemas),
        "budgets": budgets,
    }


def at_budget(tokens: int, schemas: list[Schema], wanted: list[tuple[str, int, Needed]], show: int) -> dict[str, Any]:
    """The recall at one budget, with the tables shown and the time that pruning takes."""
    pruners = [Pruner(schema, tokens) for schema in schemas]
    for pruner in pruners:
        pruner.prune("warm")
    found, tables = Recall(), 0
    started = time.perf_counter()
    for question, number, need in wanted:
        shown = pruners[number].prune(question)
        one = recall(shown, need)
        found, tables = found + one, tables + len(shown.tables)
        if show > 0 and not one.whole:
            show -= 1
            print(question, sorted(need.tables), "\n   shown:", shown.to_prompt().replace("\n", " | "))
    seconds = time.perf_counter() - started
    return {
        "tokens": tokens,
        "tables": found.table_share,
        "columns": found.column_share,
        "whole": found.whole_share,
        "shown": tables / len(wanted),
        "milliseconds": seconds / len(wanted) * 1000,
    }


def needed(question: dict[str, Any], parts: dict[str, Any], schemas: dict[str, Schema]) -> Needed | None:
    """What the reference query needs, by the names of the joint schema; None where it can't be read."""
    name = question["db_id"]
    try:
        found = needed_by(sqlglot.parse_one(question["query"], dialect="sqlite"), unspaced(schemas[name]))
    except SqlglotError:
        return None
    space = parts[name]["space"]
    return Needed(
        frozenset(f"{space}.{table}" for table in found.tables),
        frozenset((f"{space}.{table}", column) for table, column in found.columns),
    )


def unspaced(schema: Schema) -> Schema:
    """The tables of one database as its own queries call them."""
    return Schema(tuple(Table(t.name, t.columns, t.primary_key) for t in schema.tables), schema.dialect)


def tables(part: dict[str, Any]) -> list[Table]:
    """The tables of one of Spider's databases, in a namespace of its own."""
    names, columns = part["table_names_original"], part["column_names_original"]
    of: defaultdict[int, list[Column]] = defaultdict(list)
    for (table, name), kind in zip(columns, part["column_types"], strict=True):
        if table >= 0:
            of[table].append(Column(name, kind.upper()))
    keys: defaultdict[int, list[ForeignKey]] = defaultdict(list)
    for source, target in part["foreign_keys"]:
        (table, name), (other, other_name) = columns[source], columns[target]
        keys[table].append(ForeignKey((name,), names[other], (other_name,), part["space"]))
    primary = {columns[number][0]: (columns[number][1],) for number in part["primary_keys"] if isinstance(number, int)}
    return [
        Table(name, tuple(of[number]), primary.get(number, ()), tuple(keys[number]), namespace=part["space"])
        for number, name in enumerate(names)
    ]


def read(path: Path) -> Any:
    """A gzipped JSON file, or one of JSON lines."""
    text = gzip.decompress(path.read_bytes()).decode()
    return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    main()
