"""The control plane with nothing in place of anything but the bucket, over a tiny random model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlora.engines.base import Completion, Sampling
from sqlora.models.adapter import CONFIG, WEIGHTS
from sqlora.prompting import record
from tests.tiny import tiny_model
from tests.unit.platform.test_customization_data import TRAIN, jsonl
from tests.unit.serve.bedrock import test_deployments, test_models
from tests.unit.serve.bedrock.conftest import Wire, job_request
from tests.unit.serve.bedrock.test_jobs import ended


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    tiny_model(tmp_path / "base")
    found = Wire(tmp_path, real=True)
    yield found
    found.close()


def test_trained_deployed_exported_and_imported(wire: Wire) -> None:
    client = wire.client()
    wire.objects.content[TRAIN] = jsonl(20)
    arn = client.create_model_customization_job(**job_request(hyperParameters={"epochCount": "2"}))["jobArn"]
    job = ended(wire, client, arn)
    assert job["status"] == "Completed", job
    assert job["trainingMetrics"]["trainingLoss"] > 0
    assert job["validationMetrics"][0]["validationLoss"] > 0

    folder = f"s3://bucket/out/model-customization-job-{arn[-12:]}"
    table = csv.DictReader(
        io.StringIO(wire.objects.content[f"{folder}/training_artifacts/step_wise_training_metrics.csv"].decode())
    )
    steps = [(int(row["step_number"]), int(row["epoch_number"])) for row in table]
    assert steps == [(step, step // 5) for step in range(10)]  # 20 records, 4 a step, twice
    after = f"{folder}/validation_artifacts/post_fine_tuning_validation"
    assert wire.objects.content[f"{after}/validation_metrics.csv"].startswith(
        b"step_number,epoch_number,validation_loss,perplexity\n9,1,"
    )
    assert f"{after}/validation/validation_metrics.csv" in wire.objects.content

    deployed = test_deployments.create(client, job["outputModelArn"], "trained")
    assert test_deployments.settled(wire, client, deployed)["status"] == "Active"
    model = wire.backend.paths.model(job["outputModelArn"][-12:])
    for name in (CONFIG, WEIGHTS):
        wire.objects.put(f"{test_models.PREFIX}/{name}", (model / name).read_bytes())
    imported = test_models.settled(wire, client, test_models.create(client))
    assert imported["modelStatus"] == "Active"
    deployed = test_deployments.create(client, imported["modelArn"], "imported")
    assert test_deployments.settled(wire, client, deployed)["status"] == "Active"
    asked, sampling = record("the schema", "question 3?"), Sampling(max_tokens=8)
    texts = [[*wire.backend.converse(name, asked, sampling)][-1] for name in ("trained", "imported", "base")]
    first, second, base = (piece.text for piece in texts if isinstance(piece, Completion))
    assert first == second != base

    (model / WEIGHTS).write_bytes(b"not what it was")
    failed = test_deployments.create(client, job["outputModelArn"], "damaged")
    assert test_deployments.settled(wire, client, failed)["status"] == "Failed"
