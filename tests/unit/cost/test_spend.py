from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sqlora.cost.model import dollars
from sqlora.cost.prices import own_prices
from sqlora.cost.spend import Books, Spend, spending
from sqlora.platform.ledger import Resource
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow

MICRO = "amazon.nova-micro-v1:0:128k"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as state:
        yield state


def asked(state: State, backend: str, deployment: str, requests: int = 1_000) -> None:
    row = UsageRow(deployment, "ann", 800, 60, 0, 1.0, 0.2, backend=backend)
    state.usage.record([row] * requests)


def trained(state: State, backend: str = "bedrock", status: str = "Completed", **details: Any) -> Resource:
    """A job that made the model "shop", as the backends write it into the ledger."""
    job = state.ledger.plan(backend, "job", "shop-job", details={"base_model": MICRO, "dataset_id": "d1", **details})
    state.ledger.created(job.id, "arn:job", {"status": status})
    model = state.ledger.plan(backend, "model", "shop", parent_id=job.id, details={"base_model": MICRO})
    return state.ledger.created(model.id, "arn:model")


def spent(state: State, model_id: str = MICRO, days: float = 0, tokens: int | None = 1_600_000) -> dict[str, Spend]:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    usage, resources = state.usage.summary(("backend", "deployment")), state.ledger.list(deleted=True)
    found = spending(Books(usage, resources, own_prices(), model_id, later, lambda id: tokens))
    return {each.backend: each for each in found}


def test_what_ran_here_was_not_billed(state: State) -> None:
    asked(state, "local", "shop", 22_000)
    [local] = spent(state).values()
    assert (local.backend, local.billed, local.total, local.questions) == ("local", False, 0, 22_000)
    assert [(line.name, line.amount) for line in local.lines] == [("the same tokens on Bedrock", Decimal("0.8008"))]


def test_what_bedrock_answered_was(state: State) -> None:
    asked(state, "bedrock", "shop")
    asked(state, "bedrock", "base")
    asked(state, "local", "shop")
    found = spent(state)
    assert set(found) == {"bedrock", "local"}
    assert [line.name for line in found["bedrock"].lines] == ["tokens of nova-micro", "tokens of custom nova-micro"]
    assert found["bedrock"].total == Decimal("0.0728")


def test_a_deployment_is_billed_as_the_model_it_serves(state: State) -> None:
    model = trained(state)
    state.ledger.note(model.id, {"base_model": "amazon.nova-pro-v1:0:300k"})
    state.ledger.plan("bedrock", "deployment", "shop", parent_id=model.id)
    asked(state, "bedrock", "shop")
    asked(state, "bedrock", "unknown")
    names = [line.name for line in spent(state)["bedrock"].lines if line.name.startswith("tokens")]
    assert names == ["tokens of custom nova-micro", "tokens of custom nova-pro"]


def test_a_customization_is_billed_by_tokens_and_epochs(state: State) -> None:
    trained(state, hyperparameters={"epochCount": "5"})
    line = spent(state)["bedrock"].lines[0]
    assert (line.name, line.amount) == ("training shop-job", Decimal(8))
    assert line.formula.startswith("about 1,600,000 tokens × 5 epochs")


def test_one_whose_data_is_gone_cannot_be_reckoned(state: State) -> None:
    trained(state, hyperparameters={"epochCount": "5"})
    found = spent(state, tokens=None)["bedrock"]
    assert found.total is None
    assert found.known == found.lines[1].amount, "its storage"
    assert dollars(found.lines[0].amount) == "not found"


@pytest.mark.parametrize("status", ["InProgress", "Failed", "Stopped"])
def test_one_that_was_not_completed_is_left_out(state: State, status: str) -> None:
    trained(state, status=status, hyperparameters={"epochCount": "5"})
    assert not [line for line in spent(state)["bedrock"].lines if line.name.startswith("training")]


def test_a_sagemaker_job_is_billed_by_its_seconds(state: State) -> None:
    trained(state, "sagemaker", status="Failed", billable={"1": 600, "2": 1_200}, instance="ml.g5.48xlarge", instances=2)
    line = spent(state)["sagemaker"].lines[0]
    assert (line.amount, line.formula) == (Decimal("20.36"), "2 × 0.5 h × $20.36 per hour")


def test_a_model_is_stored_until_it_is_deleted(state: State) -> None:
    model = trained(state, status="InProgress")
    [line] = spent(state, days=365 / 12)["bedrock"].lines
    assert line.amount == pytest.approx(Decimal("1.95"), abs=Decimal("0.001"))
    assert line.formula == "30.4 days × $1.95 per model and month"
    state.ledger.deleting(model.id)
    state.ledger.deleted(model.id)
    [line] = spent(state, days=365 / 12)["bedrock"].lines
    assert line.amount == pytest.approx(Decimal(0), abs=Decimal("0.001"))


def test_what_was_only_planned_costs_nothing(state: State) -> None:
    state.ledger.plan("bedrock", "model", "shop")
    assert spent(state) == {}


def test_a_price_that_is_missing_makes_no_sum(state: State) -> None:
    asked(state, "bedrock", "shop")
    found = spent(state, model_id="amazon.nova-premier-v1:0")["bedrock"]
    assert found.total is None
    assert found.as_dict()["shown"] == "not found"


def test_as_json(state: State) -> None:
    asked(state, "vllm", "shop")
    found = spent(state)["vllm"].as_dict()
    assert (found["billed"], found["total"], found["questions"]) == (False, "0", 1_000)
    assert dataclasses.asdict(spent(state)["vllm"])["backend"] == "vllm"
