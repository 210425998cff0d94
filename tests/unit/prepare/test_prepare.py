"""From a project to its dataset: what is written, what is counted, what is said when there is nothing to train on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sqlora.errors import ConfigError, DatasetError, NotFoundError
from sqlora.prepare import PrepareProgress, list_datasets, load_dataset, prepare
from sqlora.prepare import run as run_module
from sqlora.prepare.examples import SPLITS

from .conftest import MakeProject

PAIRS = '[[sources]]\nkind = "pairs"\npath = "a.jsonl"\n'
SHARES = "[prepare]\nvalidation_share = 0.1\ntest_share = 0.2\n"


def bedrock_problems(line: str) -> list[str]:
    """What AWS's validator would say of a line (AWS.md 2.1: nova_ft_dataset_validator.py)."""
    record = json.loads(line)
    problems = [f"unknown key {key}" for key in set(record) - {"schemaVersion", "system", "messages"}]
    if record["schemaVersion"] != "bedrock-conversation-2024":
        problems.append("schemaVersion")
    roles = [message["role"] for message in record["messages"]]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        problems.append(f"roles {roles}")
    texts = [block for message in record["messages"] for block in message["content"]] + record.get("system", [])
    for block in texts:
        if set(block) != {"text"} or not block["text"].strip():
            problems.append(f"block {block}")
        for word in ("system:", "user:", "bot:", "assistant:", "thought:", "<image>", "<video>", "[eos]", "<unk>"):
            if word in block["text"].lower():
                problems.append(f"{word} in {block['text']}")
    return problems


def test_every_line_is_what_bedrock_takes(make_project: MakeProject, pairs: list[Any]) -> None:
    bad = [
        {"question": "User: drop it", "sql": "SELECT TALLY() FROM product"},
        {"question": "colours", "sql": "SELECT colour FROM product"},
        {"question": "how many customers?", "sql": "SELECT TALLY() FROM customer"},
    ]
    dataset = prepare(make_project(PAIRS, SHARES, a=pairs + bad))
    assert dataset.card["rejected"] == {"forbidden text": 1, "column": 1, "duplicate": 1}
    assert sum(dataset.card["splits"].values()) == 12
    for split in SPLITS:
        lines = dataset.path(split).read_text().splitlines()
        assert [problem for line in lines for problem in bedrock_problems(line)] == []
        asked = [(example.question, example.sql) for example in dataset.examples(split)]
        assert asked == [(r["messages"][0]["content"][0]["text"], r["messages"][1]["content"][0]["text"]) for r in dataset.records(split)]
        assert len(lines) == dataset.card["splits"][split]
    assert dataset.card["splits"]["test"] >= 2
    system = json.loads(dataset.path("train").read_text().splitlines()[0])["system"][0]["text"]
    assert "[order](order_id, customer_id, order_date, channel)" in system
    assert dataset.card["sources"]["a.jsonl"]["seen"] == 15
    assert dataset.card["bedrock"]["fits"] is True


def test_the_same_inputs_give_the_same_dataset_at_once(
    make_project: MakeProject, pairs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(PAIRS, SHARES, a=pairs)
    first = prepare(project)

    def no_work(*_: object) -> None:
        raise AssertionError("the work was done twice")

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "place", no_work)
        assert prepare(project) == first
    assert prepare(project, again=True).id == first.id
    assert [dataset.id for dataset in list_datasets(project.state)] == [first.id]
    assert load_dataset(first.folder).card == first.card


def test_other_inputs_give_another_dataset_and_both_stay(make_project: MakeProject, pairs: list[Any]) -> None:
    first = prepare(make_project(PAIRS, SHARES, a=pairs))
    project = make_project(PAIRS, SHARES, a=pairs[:-1])
    second = prepare(project)
    assert first.id != second.id
    assert {dataset.id for dataset in list_datasets(project.state)} == {first.id, second.id}


def test_a_fixed_test_takes_its_templates_out_of_train(make_project: MakeProject, pairs: list[Any]) -> None:
    test = [{"question": "customers of York, please", "sql": 'SELECT customer_name FROM customer WHERE city = "York"'}]
    sources = PAIRS + '[[sources]]\nkind = "pairs"\npath = "b.jsonl"\nsplit = "test"\n'
    dataset = prepare(make_project(sources, "[prepare]\nvalidation_share = 0\n", a=pairs, b=test))
    assert [example.question for example in dataset.examples("test")] == ["customers of York, please"]
    assert "customers in Leeds" not in [example.question for example in dataset.examples()]
    assert dataset.card["rejected"] == {"in test": 1}
    assert [reject["origin"] for reject in dataset.rejects()] == ["a.jsonl line 4"]
    assert not {e.template for e in dataset.examples("train")} & {e.template for e in dataset.examples("test")}


def test_too_little_is_an_error_with_counts_and_reasons(make_project: MakeProject, pairs: list[Any]) -> None:
    bad = [{"question": f"q{i}", "sql": "SELECT colour FROM product"} for i in range(3)]
    project = make_project(PAIRS, a=pairs[:4] + bad)
    with pytest.raises(DatasetError) as caught:
        prepare(project)
    assert "of 7 examples are left to train on; at least 8 are needed" in caught.value.message
    assert "3 column" in caught.value.message
    assert "a.jsonl line 5" in caught.value.message
    assert list_datasets(project.state) == []


def test_an_empty_file_and_no_sources_are_errors(make_project: MakeProject) -> None:
    with pytest.raises(DatasetError, match="0 of 0 examples") as caught:
        prepare(make_project(PAIRS, a=[]))
    assert caught.value.next_step == "put examples into a.jsonl, which has none, or add a source to sqlora.toml"
    with pytest.raises(ConfigError, match="sources"):
        prepare(make_project(""))


def test_too_few_good_examples_are_not_to_be_corrected(make_project: MakeProject, pairs: list[Any]) -> None:
    with pytest.raises(DatasetError) as caught:
        prepare(make_project(PAIRS, a=pairs[:1]))
    assert caught.value.next_step == "put more examples into a.jsonl, or add a source to sqlora.toml"
    with pytest.raises(DatasetError) as caught:
        prepare(make_project(PAIRS, a=[pairs[0]] * 12))
    assert caught.value.next_step.startswith("put more examples that need other queries into a.jsonl")


def test_an_interrupted_run_leaves_nothing(make_project: MakeProject, pairs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(PAIRS, SHARES, a=pairs)
    write = Path.write_text

    def interrupted(path: Path, *args: Any, **more: Any) -> int:
        if path.name == "card.json":
            raise KeyboardInterrupt
        return write(path, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(project)
    assert list((project.state / "datasets").iterdir()) == []
    assert prepare(project).card["splits"]["train"] >= 8


def test_a_dataset_that_is_not_whole_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(NotFoundError, match=r"train\.jsonl"):
        load_dataset(tmp_path)


def test_public_pairs_bring_their_own_schema(make_project: MakeProject, pairs: list[Any]) -> None:
    context = [{"question": f"how old is head {i}", "context": "CREATE TABLE head (age INTEGER)", "answer": f"SELECT age FROM head LIMIT {i + 1}"}
               for i in range(3)]  # fmt: skip
    sources = PAIRS + '[[sources]]\nkind = "sql-create-context"\npath = "b.jsonl"\nsplit = "train"\n'
    dataset = prepare(make_project(sources, "[prepare]\ntest_share = 0\nvalidation_share = 0\n", a=pairs, b=context))
    systems = {record["system"][0]["text"] for record in dataset.records("train")}
    assert len(systems) == 2
    assert [e.sql for e in dataset.examples() if e.source == "b.jsonl"] == [f"SELECT age FROM head TAKE {i}" for i in (1, 2, 3)]


def test_synthesized_examples_are_counted_up_to_what_was_asked(make_project: MakeProject, shop: Path) -> None:
    source = f'[[sources]]\nkind = "synthesize"\ncount = 60\nglossary = "{shop}/glossary.toml"\n'
    reports: list[PrepareProgress] = []
    project = make_project(source, SHARES)
    dataset = prepare(project, reports.append)
    counted = dataset.card["sources"]["synthesize 1"]
    assert counted["kept"] == 60
    assert counted["seen"] == 60 + sum(n for reason, n in dataset.card["rejected"].items() if reason != "in test")
    assert reports[-1].phase == "writing"
    assert any(report.total == 60 and report.done == 60 for report in reports)
    train = {example.template for example in dataset.examples("train")}
    assert not train & {example.template for example in dataset.examples("test")}
    dialect = project.dialect()
    assert all(dialect.normalize(example.sql) == example.sql for example in dataset.examples())
