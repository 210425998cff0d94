from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.platform.test_customization_data import TRAIN, jsonl
from tests.unit.serve.bedrock.conftest import Wire, job_request


def refused(call: Any, **params: Any) -> tuple[str, str]:
    """(code, message) of the error; its declaration and status are judged already."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def ended(wire: Wire, client: Any, arn: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = client.get_model_customization_job(jobIdentifier=arn)
        return found if "endTime" in found else None

    result: dict[str, Any] = wire.until(look)
    return result


def test_a_job_from_the_call_to_its_model(wire: Wire, client: Any) -> None:
    request = job_request(jobTags=[{"key": "team", "value": "sql"}], customModelTags=[{"key": "m", "value": ""}])
    arn = client.create_model_customization_job(**request)["jobArn"]
    assert re.fullmatch(
        r"arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon\.nova-micro-v1:0:128k/[a-z0-9]{12}", arn
    )
    found = ended(wire, client, arn)
    assert found["status"] == "Completed"
    assert {name: found[name] for name in request if name in found} == {
        name: value
        for name, value in request.items()
        if name not in ("customModelName", "baseModelIdentifier", "jobTags", "customModelTags")
    }
    assert (found["outputModelName"], found["baseModelArn"]) == ("job-model", request["baseModelIdentifier"])
    assert found["outputModelArn"].startswith(
        "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/"
    )
    assert found["trainingMetrics"] == {"trainingLoss": 0.5}
    assert {part["status"] for part in found["statusDetails"].values()} == {"Completed"}
    assert found["creationTime"] <= found["endTime"] <= datetime.now(UTC)
    assert client.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "sql"}]
    assert client.list_tags_for_resource(resourceARN=found["outputModelArn"])["tags"] == [{"key": "m", "value": ""}]
    assert [uri for uri in wire.objects.content if uri.startswith("s3://bucket/out/model-customization-job-")]


def test_without_validation_data_there_is_an_empty_list(wire: Wire, client: Any) -> None:
    request = job_request()
    del request["validationDataConfig"], request["hyperParameters"], request["customizationType"]
    found = ended(wire, client, client.create_model_customization_job(**request)["jobArn"])
    assert found["validationDataConfig"] == {"validators": []}
    assert (found["status"], found["customizationType"]) == ("Completed", "FINE_TUNING")


def test_a_job_is_found_by_name_and_by_an_arn_of_any_region(wire: Wire, client: Any) -> None:
    arn = client.create_model_customization_job(**job_request())["jobArn"]
    there = wire.client("eu-west-2")
    assert there.get_model_customization_job(jobIdentifier="job")["jobArn"] == arn.replace("us-east-1", "eu-west-2")
    assert there.get_model_customization_job(jobIdentifier=arn)["jobName"] == "job"
    ended(wire, client, arn)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"hyperParameters": {"epochCount": "6"}}, "hyperparameter epochCount = '6' is not between 1 and 5"),
        ({"hyperParameters": {"rank": "8"}}, "hyperparameter rank is unknown"),
        ({"customizationType": "DISTILLATION"}, "customizationType DISTILLATION is not supported"),
        ({"baseModelIdentifier": "amazon.titan-text-v1"}, "The provided model identifier is invalid"),
        (
            {
                "baseModelIdentifier": "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/abcdefghijkl"
            },
            "training goes on from a foundation model only",
        ),
        ({"outputDataConfig": {"s3Uri": "s3://nowhere/out"}}, "there is no such bucket"),
        ({"trainingDataConfig": {}}, "trainingDataConfig needs an s3Uri"),
        ({"customModelKmsKeyId": "12345678-1234-1234-1234-123456789012"}, "customModelKmsKeyId is not supported"),
        ({"jobTags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, "Duplicate tag key"),
        ({"jobTags": [{"key": "aws:x", "value": "1"}]}, "reserved"),
        ({"jobName": "-job"}, "jobName"),
        ({"roleArn": "role"}, "roleArn"),
        ({"customModelName": "base"}, "means the untuned base model"),
    ],
)
def test_what_is_wrong_in_the_call_fails_the_call(
    wire: Wire, client: Any, changes: dict[str, Any], complaint: str
) -> None:
    code, message = refused(client.create_model_customization_job, **job_request(**changes))
    assert code == ("ConflictException" if "untuned" in complaint else "ValidationException")
    assert complaint in message
    assert wire.customizations.list() == []


def test_what_is_wrong_in_the_files_fails_the_job(wire: Wire, client: Any) -> None:
    wire.objects.content[TRAIN] = jsonl(8) + b'{"messages": []}\n'
    found = ended(wire, client, client.create_model_customization_job(**job_request())["jobArn"])
    assert found["status"] == "Failed"
    assert "s3://bucket/train.jsonl line 9" in found["failureMessage"]
    assert found["statusDetails"]["validationDetails"]["status"] == "Failed"
    assert found["statusDetails"]["trainingDetails"] == {"status": "NotStarted"}
    assert "outputModelArn" not in found


@pytest.mark.parametrize("base", ["amazon.nova-micro-v1:0:128k", "amazon.nova-lite-v1:0", "smollm2-135m", "base"])
def test_the_base_model_goes_by_many_names(wire: Wire, client: Any, base: str) -> None:
    arn = client.create_model_customization_job(**job_request(baseModelIdentifier=base))["jobArn"]
    size = "lite-v1:0:300k" if "lite" in base else "micro-v1:0:128k"
    shown = ended(wire, client, arn)["baseModelArn"]
    assert shown == f"arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-{size}"


def test_a_token_makes_one_job(wire: Wire, client: Any) -> None:
    request = job_request(clientRequestToken="token-1")
    arn = client.create_model_customization_job(**request)["jobArn"]
    assert client.create_model_customization_job(**request)["jobArn"] == arn
    assert len(wire.customizations.list()) == 1
    assert client.get_model_customization_job(jobIdentifier=arn)["clientRequestToken"] == "token-1"
    code, _ = refused(client.create_model_customization_job, **{**request, "jobName": "other"})
    assert code == "ConflictException"
    ended(wire, client, arn)


def test_taken_names_are_conflicts(wire: Wire, client: Any) -> None:
    arn = client.create_model_customization_job(**job_request())["jobArn"]
    assert refused(client.create_model_customization_job, **job_request())[0] == "ConflictException"
    other = job_request("other", customModelName="job-model")
    assert refused(client.create_model_customization_job, **other)[0] == "ConflictException"
    ended(wire, client, arn)


def test_stop_really_stops_and_once_only(wire: Wire, client: Any) -> None:
    arn = client.create_model_customization_job(**job_request())["jobArn"]
    recipe = {**wire.customizations.get("job").details["recipe"], "steps": 10_000}
    wire.customizations.records.note(arn[-12:], recipe=recipe)
    client.stop_model_customization_job(jobIdentifier=arn)
    found = ended(wire, client, arn)
    assert found["status"] == "Stopped"
    assert refused(client.stop_model_customization_job, jobIdentifier="job")[0] == "ConflictException"


def test_what_is_not_there(wire: Wire, client: Any) -> None:
    wire.state.jobs.create("plain", model_name="m", base_model="b", dataset_id="d", recipe="r")
    arn = "arn:aws:bedrock:us-east-1:{}:model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"
    for identifier in ("nothing", "plain", arn.format("123456789012"), arn.format("210987654321")):
        for call in (client.get_model_customization_job, client.stop_model_customization_job):
            assert refused(call, jobIdentifier=identifier)[0] == "ResourceNotFoundException"
    assert client.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []


def test_an_arn_does_not_find_a_job_by_its_name(wire: Wire, client: Any) -> None:
    arn = client.create_model_customization_job(**job_request("abcdefghijkl"))["jobArn"]
    assert client.get_model_customization_job(jobIdentifier="abcdefghijkl")["jobArn"] == arn
    other = arn.replace(arn[-12:], "abcdefghijkl")
    assert refused(client.get_model_customization_job, jobIdentifier=other)[0] == "ResourceNotFoundException"
    ended(wire, client, arn)


def test_lists_are_filtered_sorted_and_paged(wire: Wire, client: Any) -> None:
    for number in range(5):
        client.create_model_customization_job(**job_request(f"job{number}"))
    client.stop_model_customization_job(jobIdentifier="job4")
    for number in range(4):
        ended(wire, client, f"job{number}")

    def names(**filters: Any) -> list[str]:
        pages = client.get_paginator("list_model_customization_jobs").paginate(
            PaginationConfig={"PageSize": 2}, **filters
        )
        return [job["jobName"] for page in pages for job in page["modelCustomizationJobSummaries"]]

    def of(order: list[str]) -> list[str]:
        rows = sorted(
            ((found.created_at, found.id, found.job.name) for found in wire.customizations.list()), reverse=True
        )
        return [name for _, _, name in rows if name in order]

    everything = [f"job{number}" for number in range(5)]
    assert names() == of(everything)
    assert names(sortOrder="Ascending", sortBy="CreationTime") == of(everything)[::-1]
    assert names(statusEquals="Stopped") == ["job4"]
    assert names(statusEquals="Completed") == of(everything[:4])
    assert names(nameContains="b3") == ["job3"]
    hour = timedelta(hours=1)
    assert names(creationTimeAfter=datetime.now(UTC) - hour, creationTimeBefore=datetime.now(UTC) + hour) == of(
        everything
    )
    assert names(creationTimeAfter=datetime.now(UTC) + hour) == []


def test_a_job_made_between_two_pages_shifts_nothing(wire: Wire, client: Any) -> None:
    for number in range(3):
        client.create_model_customization_job(**job_request(f"job{number}"))
    first = client.list_model_customization_jobs(maxResults=2)
    client.create_model_customization_job(**job_request("job9"))
    second = client.list_model_customization_jobs(maxResults=2, nextToken=first["nextToken"])
    seen = [job["jobName"] for page in (first, second) for job in page["modelCustomizationJobSummaries"]]
    assert sorted(seen) == ["job0", "job1", "job2"]
    assert "nextToken" not in second
    assert refused(client.list_model_customization_jobs, nextToken="bm9uc2Vuc2U")[0] == "ValidationException"
    for number in (0, 1, 2, 9):
        ended(wire, client, f"job{number}")
