from __future__ import annotations

import json
from pathlib import Path

import pytest

from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from tests.unit.cli.conftest import Run
from tests.unit.cost.price_list import price_list, product

OWN = """checked = 2026-11-01
currency = "USD"
region = "us-east-1"

[prices.{name}]
title = "a price"
value = "{value}"
unit = "hour"
date = 2026-11-01
source = "us"
certainty = "certain"
"""


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_reference_month_costs_80_cents(run: Run) -> None:
    result = run("cost")
    assert result.exit_code == 0
    tokens = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["tokens"])
    assert tokens.split()[1] == "$0.80"
    for words in ("$1.95", "$2.75", "22,000 questions a month", "costs less from", "checked 20"):
        assert words in result.stdout


def test_json_has_exact_amounts(run: Run) -> None:
    answer = json.loads(run("cost", "--json").stdout)
    assert answer["options"][0]["lines"][0]["amount"] == "0.8008"
    assert answer["options"][0]["total"] == "2.7508"
    assert (answer["usage"], answer["training"]) == (None, [])
    assert answer["prices"]["region"] == "us-east-1"


def test_training_costs_what_its_tokens_and_hours_do(run: Run) -> None:
    answer = json.loads(
        run("cost", "--training-tokens", "2000000", "--epochs", "2", "--training-hours", "1.5", "--json").stdout
    )
    assert [line["name"] for line in answer["training"]][:2] == ["Bedrock customization", "SageMaker training job"]
    assert answer["training"][0]["amount"] == "4"
    assert run("cost", "--training-hours", "soon").exit_code == 2
    assert run("cost", "--training-hours", "nan").exit_code == 2


def test_a_project_adds_what_it_used(run: Run, project: Path) -> None:
    with State(project / ".sqlora" / "state.db") as state:
        state.usage.record([UsageRow("shop", "local", 800, 60, 0, 1.0, 0.2)] * 10)
        state.usage.record([UsageRow("shop", "local", 800, 60, 0, 1.0, 0.2, backend="bedrock")] * 10)
    answer = json.loads(run("cost", "--json").stdout)
    usage = answer["usage"]
    assert (usage["queries"], usage["input_tokens"], usage["output_tokens"]) == (20, 16_000, 1_200)
    bedrock, local = answer["spent"]
    assert (bedrock["billed"], bedrock["total"]) == (True, "0.000364")
    assert (local["billed"], local["total"]) == (False, "0")
    shown = run("cost").stdout
    assert "not billed" in shown
    assert "10 questions, 8,000 tokens in, 600 out" in shown
    assert "this machine takes 1 s a question (10 asked); --price-per-hour 0.10 compares it" in shown


def test_this_machine_is_compared_by_what_it_took(run: Run, project: Path) -> None:
    with State(project / ".sqlora" / "state.db") as state:
        state.usage.record([UsageRow("shop", "ask", 800, 60, 0, 1.8, 0.2)] * 4)
        state.usage.record([UsageRow("shop", "evaluate", 800, 60, 0, 90.0, 0.2)] * 4)  # many at a time
        state.usage.record([UsageRow("shop", "ask", 800, 60, 0, 0.3, 0.2, backend="bedrock")] * 4)
    options = {
        option["name"]: option
        for option in json.loads(run("cost", "--price-per-hour", "0.1", "--json").stdout)["options"]
    }
    assert options["this machine, while it answers"]["total"] == "1.1"
    assert options["this machine, always on"]["total"] == "73"
    (project / "sqlora.toml").write_text((project / "sqlora.toml").read_text() + "[cost]\nprice_per_hour = 0.1\n")
    assert "this machine, while it answers costs less up to 143,382 questions a month" in run("cost").stdout
    assert run("cost", "--price-per-hour", "much").exit_code == 2


def test_a_dataset_says_what_training_on_it_costs(run: Run, project: Path) -> None:
    assert run("prepare").exit_code == 0
    with State(project / ".sqlora" / "state.db") as state:
        job = state.jobs.create("one", model_name="shop", base_model="tiny", dataset_id="d", recipe="demo")
        state.jobs.complete(job.id, folder="models/x", train_loss=1.0, validation_loss=None)
    lines = json.loads(run("cost", "--price-per-hour", "0.1", "--json").stdout)["training"]
    assert [line["name"] for line in lines] == ["Bedrock customization", "SageMaker training job", "this machine"]
    assert lines[1]["formula"].startswith("about 0.25 h")
    assert "--training-tokens and --training-hours say it exactly" in run("cost").stdout


def test_a_price_table_of_ones_own(run: Run, project: Path) -> None:
    (project / "own.toml").write_text(OWN.format(name="custom-model-storage", value="2.00"))
    answer = json.loads(run("cost", "--prices", "own.toml", "--json").stdout)
    assert answer["options"][0]["total"] == "2.8008"
    assert answer["prices"]["origin"].startswith("own.toml over")
    (project / "sqlora.toml").write_text((project / "sqlora.toml").read_text() + '[cost]\nprices = "own.toml"\n')
    assert "own.toml over sqlora/cost/prices.toml" in run("cost").stdout
    result = run("cost", "--prices", "none.toml")
    assert result.exit_code == 1
    assert "none.toml can't be read" in result.stderr


def test_a_chart_is_written(run: Run, tmp_path: Path) -> None:
    assert "chart: cost.svg" in run("cost", "--chart", "cost.svg").stdout
    assert (tmp_path / "cost.svg").read_text().startswith("<svg")
    for wrong in ("cost.png", "nowhere/cost.svg"):
        result = run("cost", "--chart", wrong)
        assert (result.exit_code, result.stdout) == (1, "")
        assert wrong in result.stderr


def test_prices_are_refreshed_when_asked_for_and_then_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    with price_list(
        product("AmazonBedrock", "USE1-NovaMicro-input-tokens-custom-model", "0.00004", "1K tokens")
    ) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", url)
        result = run("cost", "--refresh")
    assert result.exit_code == 0, result.stderr
    assert "asking AWS's price list" in result.stderr
    for words in ("custom Nova Micro on demand, input", "$0.000035", "$0.00004", "kept as it was"):
        assert words in result.stdout
    [written] = (cache / "prices").iterdir()
    answer = json.loads(run("cost", "--json").stdout)
    assert answer["options"][0]["lines"][0]["amount"] == "0.8888"
    assert answer["prices"]["origin"] == str(written)


def test_without_credentials_nothing_is_refreshed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = run("cost", "--refresh")
    assert result.exit_code == 1
    assert "there are no AWS credentials" in result.stderr
    assert not (cache / "prices").exists()


def test_a_mistake_in_the_project_is_not_passed_over(run: Run, project: Path) -> None:
    (project / "sqlora.toml").write_text("[cost]\nprice_per_hour = -1\n")
    result = run("cost")
    assert result.exit_code == 1
    assert "cost.price_per_hour" in result.stderr


def test_an_open_model_on_sagemaker_is_compared_with_nova_micro(run: Run, project: Path) -> None:
    (project / "sqlora.toml").write_text((project / "sqlora.toml").read_text() + '[aws]\nmodel = "smollm2-135m"\n')
    assert json.loads(run("cost", "--json").stdout)["options"][0]["total"] == "2.7508"
    dearer = json.loads(run("cost", "--nova", "pro", "--json").stdout)["options"][0]
    assert dearer["lines"][0]["amount"] == "18.304"
