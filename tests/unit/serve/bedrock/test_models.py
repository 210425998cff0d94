from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.serve.bedrock.conftest import Wire, job_request
from tests.unit.serve.bedrock.test_jobs import ended, refused

PREFIX = "s3://bucket/adapters/mine"


def put_adapter(wire: Wire, prefix: str = PREFIX, text: bytes = b"mine", **without: bool) -> None:
    files = {"adapter_config.json": b"{}", "adapter_model.safetensors": text, "manifest.json": b"{}"}
    for name, content in files.items():
        if name.split(".")[0] not in without:
            wire.objects.content[f"{prefix}/{name}"] = content


def create(client: Any, name: str = "imported", uri: str = PREFIX, **more: Any) -> str:
    arn: str = client.create_custom_model(modelName=name, modelSourceConfig={"s3DataSource": {"s3Uri": uri}}, **more)[
        "modelArn"
    ]
    return arn


def settled(wire: Wire, client: Any, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get_custom_model(modelIdentifier=arn)
        return found if found["modelStatus"] != "Creating" else None

    result: dict[str, Any] = wire.until(look)
    return result


def test_a_trained_model_shows_the_job_that_made_it(wire: Wire, client: Any) -> None:
    job = ended(wire, client, client.create_model_customization_job(**job_request())["jobArn"])
    found = client.get_custom_model(modelIdentifier=job["outputModelArn"])
    assert (found["modelName"], found["modelStatus"], found["customizationType"]) == (
        "job-model",
        "Active",
        "FINE_TUNING",
    )
    shared = ("jobArn", "jobName", "baseModelArn", "hyperParameters", "trainingDataConfig", "validationDataConfig")
    assert {name: found[name] for name in shared} == {name: job[name] for name in shared}
    assert found["trainingMetrics"] == {"trainingLoss": 0.5}
    assert client.get_custom_model(modelIdentifier="job-model")["modelArn"] == job["outputModelArn"]


def test_a_model_of_the_command_line_is_a_model_too(wire: Wire, client: Any) -> None:
    model = wire.model("local")
    found = client.get_custom_model(modelIdentifier="local")
    assert found["modelArn"].endswith(f"custom-model/amazon.nova-micro-v1:0:128k/{model.id}")
    assert "jobArn" not in found


def test_a_model_is_imported_from_a_bucket(wire: Wire, client: Any) -> None:
    put_adapter(wire)
    arn = create(client, modelTags=[{"key": "k", "value": "v"}])
    found = settled(wire, client, arn)
    assert ":custom-model/imported/" in arn
    assert (found["modelStatus"], found["customizationType"]) == ("Active", "IMPORTED")
    folder = wire.backend.paths.model(arn[-12:])
    assert (folder / "adapter_model.safetensors").read_bytes() == b"mine"
    wire.until(lambda: [path.name for path in folder.parent.iterdir()] == [arn[-12:]])  # nothing of the way is left
    assert client.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "k", "value": "v"}]


def test_an_import_waits_for_a_store_that_comes_back(wire: Wire, client: Any) -> None:
    put_adapter(wire)
    wire.objects.failing = 2
    assert settled(wire, client, create(client))["modelStatus"] == "Active"
    wire.objects.failing = 3
    found = settled(wire, client, create(client, "late"))
    assert "does not answer" in found["failureMessage"]


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("s3://bucket/none", "s3://bucket/none holds no adapter_config.json"),
        ("s3://nowhere/x", "there is no such bucket"),
        ("s3://bucket/half/", "holds no adapter_model.safetensors (pickled adapter_model.bin files are not read)"),
        ("s3://bucket/unfit", "does not fit"),
    ],
)
def test_an_import_that_cannot_be_is_failed(wire: Wire, client: Any, uri: str, complaint: str) -> None:
    put_adapter(wire, "s3://bucket/half", adapter_model=True)
    wire.objects.content["s3://bucket/half/adapter_model.bin"] = b"pickle"
    put_adapter(wire, "s3://bucket/unfit", b"unfit")
    arn = create(client, uri=uri)
    found = settled(wire, client, arn)
    assert found["modelStatus"] == "Failed"
    assert complaint in found["failureMessage"]
    code, _ = refused(client.create_custom_model_deployment, modelDeploymentName="d", modelArn=arn)
    assert code == "ValidationException"
    client.delete_custom_model(modelIdentifier=arn)
    assert refused(client.get_custom_model, modelIdentifier=arn)[0] == "ResourceNotFoundException"


def escrow(wire: Wire, job_name: str = "sm-job") -> tuple[str, str, str]:
    """(job id, model id, URI) of a SageMaker job's result."""
    state = wire.state
    job = state.jobs.create(
        job_name, model_name=f"escrow-{job_name}", base_model="smollm2-135m", dataset_id="d", recipe="r"
    )
    state.execute(
        "INSERT INTO customizations (job_id, kind, region, request, details, phase, created_at, updated_at)"
        " VALUES (?, 'sagemaker', 'us-east-1', '{}', ?, 'done', ?, ?)",
        (job.id, json.dumps({"outcome": "Completed"}), job.created_at, job.created_at),
    )
    folder = wire.backend.paths.model(job.reserved_model_id)
    folder.mkdir(parents=True)
    for name, text in {
        "adapter_model.safetensors": "from escrow",
        "adapter_config.json": "{}",
        "manifest.json": "{}",
    }.items():
        (folder / name).write_text(text)
    model = state.jobs.complete(job.id, folder=f"models/{job.reserved_model_id}", train_loss=1.0, validation_loss=None)
    assert model.origin == "escrow"
    return job.id, model.id, f"s3://customer-escrow-123456789012-abc/{job_name}/{model.id}/step_9"


def test_a_model_is_imported_from_escrow_without_a_download(wire: Wire, client: Any) -> None:
    job_id, model_id, uri = escrow(wire)
    found = settled(wire, client, create(client, uri=uri))
    assert (found["modelStatus"], found["customizationType"]) == ("Active", "IMPORTED")
    weights = wire.backend.paths.model(found["modelArn"][-12:]) / "adapter_model.safetensors"
    assert weights.read_text() == "from escrow"
    by_job = settled(wire, client, create(client, "other", uri.replace(model_id, job_id) + "/"))
    assert by_job["modelStatus"] == "Active"


def test_an_escrow_model_is_not_the_customers(wire: Wire, client: Any) -> None:
    _, model_id, _ = escrow(wire)
    assert client.list_custom_models()["modelSummaries"] == []
    arn = f"arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/{model_id}"
    assert refused(client.get_custom_model, modelIdentifier="escrow-sm-job")[0] == "ResourceNotFoundException"
    assert refused(client.get_custom_model, modelIdentifier=arn)[0] == "ResourceNotFoundException"
    assert refused(client.delete_custom_model, modelIdentifier=arn)[0] == "ResourceNotFoundException"
    assert refused(client.list_tags_for_resource, resourceARN=arn)[0] == "ResourceNotFoundException"
    call = client.create_custom_model_deployment
    assert refused(call, modelDeploymentName="d", modelArn=arn)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize("change", [("123456789012", "210987654321"), ("sm-job", "other-job"), ("abc/", "abc/x")])
def test_an_escrow_uri_that_is_nobodys(wire: Wire, client: Any, change: tuple[str, str]) -> None:
    uri = escrow(wire)[2].replace(*change)
    wanted = "ValidationException"
    call = client.create_custom_model
    if change[1] == "abc/x":  # another first folder, and the job's name nowhere
        uri = uri.replace("sm-job", "y")
    assert refused(call, modelName="m", modelSourceConfig={"s3DataSource": {"s3Uri": uri}})[0] == wanted


def test_what_cannot_be_imported_at_all(wire: Wire, client: Any) -> None:
    call = client.create_custom_model
    assert refused(call, modelName="m")[0] == "ValidationException"
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/group/1"
    source = {"modelPackageArnDataSource": {"modelPackageArn": arn}}
    assert refused(call, modelName="m", customModelDataSource=source)[0] == "ValidationException"


def test_names_and_tokens(wire: Wire, client: Any) -> None:
    put_adapter(wire)
    arn = create(client, clientRequestToken="t")
    assert create(client, clientRequestToken="t") == arn
    source = {"s3DataSource": {"s3Uri": PREFIX}}
    call = client.create_custom_model
    assert refused(call, modelName="other", modelSourceConfig=source, clientRequestToken="t")[0] == "ConflictException"
    assert refused(call, modelName="imported", modelSourceConfig=source)[0] == "ConflictException"
    settled(wire, client, arn)
    assert len(wire.state.models.list()) == 1


def test_an_import_goes_on_after_a_restart(wire: Wire, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put_adapter(wire)
    with monkeypatch.context() as patched:
        patched.setattr(wire.activation, "resume", lambda: None)  # killed before it began
        arn = create(client)
    half = wire.backend.paths.model(arn[-12:]).with_name(f"{arn[-12:]}.download")
    half.mkdir()
    (half / "adapter_config.json").write_text("torn")
    wire.close()
    wire.open()
    assert settled(wire, client, arn)["modelStatus"] == "Active"


def test_lists_are_filtered(wire: Wire, client: Any) -> None:
    wire.model("alpha")
    wire.model("beta")
    arn = create(client, "gamma", "s3://bucket/none")
    settled(wire, client, arn)

    def names(**filters: Any) -> list[str]:
        pages = client.get_paginator("list_custom_models").paginate(PaginationConfig={"PageSize": 1}, **filters)
        return sorted(model["modelName"] for page in pages for model in page["modelSummaries"])

    assert names() == ["alpha", "beta", "gamma"]
    assert names(nameContains="et") == ["beta"]
    assert names(modelStatus="Failed") == ["gamma"]
    assert names(isOwned=False) == []
    base = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-{}-v1:0"
    assert names(baseModelArnEquals=base.format("micro")) == ["alpha", "beta", "gamma"]
    assert names(foundationModelArnEquals=base.format("micro") + ":128k") == ["alpha", "beta", "gamma"]
    assert names(foundationModelArnEquals=base.format("pro")) == []
    summary = client.list_custom_models(nameContains="alpha")["modelSummaries"][0]
    assert (summary["ownerAccountId"], summary["baseModelName"]) == ("123456789012", "amazon.nova-micro-v1")


def test_a_deployed_model_cannot_be_deleted(wire: Wire, client: Any) -> None:
    model = wire.model("used")
    wire.backend.create_deployment("used", "d")
    assert refused(client.delete_custom_model, modelIdentifier="used")[0] == "ConflictException"
    client.delete_custom_model_deployment(customModelDeploymentIdentifier="d")
    client.delete_custom_model(modelIdentifier="used")
    assert not Path(wire.backend.paths.path / model.folder).exists()
    assert refused(client.delete_custom_model, modelIdentifier="used")[0] == "ResourceNotFoundException"


def test_a_model_being_made_cannot_be_deleted(wire: Wire, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put_adapter(wire)
    with monkeypatch.context() as patched:
        patched.setattr(wire.activation, "resume", lambda: None)
        arn = create(client)
    assert client.get_custom_model(modelIdentifier=arn)["modelStatus"] == "Creating"
    assert refused(client.delete_custom_model, modelIdentifier=arn)[0] == "ConflictException"
    wire.activation.resume()
    settled(wire, client, arn)


def test_a_foundation_model_is_no_custom_model(wire: Wire, client: Any) -> None:
    for identifier in ("amazon.nova-micro-v1:0", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0"):
        assert refused(client.get_custom_model, modelIdentifier=identifier)[0] == "ResourceNotFoundException"
