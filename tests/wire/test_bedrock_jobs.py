"""Model customization jobs over the wire: life, failures, stopping, tokens, tags and lists."""

from __future__ import annotations

import base64
import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sqlora.platform import customization_training
from tests.wire.clients import boto, code_of, refused, refusing
from tests.wire.live import records, until
from tests.wire.shop import ACCOUNT, BASE, BUCKET, Shop, job_request, open_shop, unique

CREATE, GET, STOP, LIST = (
    f"{verb}ModelCustomizationJob{'s' if verb == 'List' else ''}" for verb in ("Create", "Get", "Stop", "List")
)


def test_a_job_from_its_call_to_its_model(shop: Shop) -> None:
    name = unique("life-waits")
    tags = [{"key": "team", "value": "retail"}]
    arn = shop.job(name, customModelName=name, jobTags=tags, customModelTags=[{"key": "kind", "value": "sql"}])
    waiting = until(lambda: in_training(shop.bedrock, arn))
    assert waiting["status"] == "InProgress"
    assert "outputModelArn" not in waiting
    assert waiting["statusDetails"]["validationDetails"]["status"] == "Completed"
    assert waiting["statusDetails"]["dataProcessingDetails"]["status"] == "Completed"
    assert waiting["hyperParameters"] == {"epochCount": "1", "batchSize": "1", "learningRate": "0.00001"}
    shop.live.let_go(arn[-12:])

    job = shop.ended(arn)
    assert job["status"] == "Completed"
    assert job["outputModelArn"].rsplit("/", 1)[0] == BASE.replace(
        "us-east-1::foundation-model", f"us-east-1:{ACCOUNT}:custom-model"
    )
    assert job["trainingMetrics"] == {"trainingLoss": 0.5}
    assert job["validationMetrics"] == [{"validationLoss": 0.75}]
    assert job["creationTime"] <= job["lastModifiedTime"]
    assert job["endTime"] >= job["creationTime"]
    by_name = shop.bedrock.get_model_customization_job(jobIdentifier=name)
    assert {**by_name, "ResponseMetadata": 0} == {**job, "ResponseMetadata": 0}

    assert shop.bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == tags
    model = shop.bedrock.get_custom_model(modelIdentifier=job["outputModelArn"])
    assert (model["modelName"], model["jobArn"], model["modelStatus"]) == (name, arn, "Active")
    assert shop.bedrock.list_tags_for_resource(resourceARN=job["outputModelArn"])["tags"][0]["value"] == "sql"


def in_training(bedrock: Any, arn: str) -> dict[str, Any] | None:
    job: dict[str, Any] = bedrock.get_model_customization_job(jobIdentifier=arn)
    return job if job["statusDetails"]["trainingDetails"]["status"] == "InProgress" else None


def test_metrics_and_nothing_else_lie_in_the_customers_bucket(shop: Shop) -> None:
    arn = shop.job(unique("metrics"), outputDataConfig={"s3Uri": f"s3://{BUCKET}/metrics"})
    assert shop.ended(arn)["status"] == "Completed"
    folder = f"metrics/model-customization-job-{arn[-12:]}"
    after = f"{folder}/validation_artifacts/post_fine_tuning_validation"
    training = f"{folder}/training_artifacts/step_wise_training_metrics.csv"
    assert shop.keys("metrics") == [
        training,
        f"{after}/validation/validation_metrics.csv",
        f"{after}/validation_metrics.csv",
    ]
    for key, loss in ((training, "training_loss"), (f"{after}/validation_metrics.csv", "validation_loss")):
        text = shop.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
        [row] = csv.DictReader(io.StringIO(text))
        assert list(row) == ["step_number", "epoch_number", loss, "perplexity"]
        assert row["step_number"] == "0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jobName": "no spaces"}, "jobName"),
        ({"jobName": "a" * 64}, "jobName"),
        ({"jobName": "../../etc"}, "jobName"),
        ({"jobName": None}, "jobName"),
        ({"customModelName": "no.dots"}, "customModelName"),
        ({"roleArn": "arn:aws:iam::1:user/x"}, "roleArn"),
        ({"baseModelIdentifier": "anthropic.claude-3-haiku-20240307-v1:0"}, "invalid"),
        (
            {
                "baseModelIdentifier": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:custom-model/amazon.nova-micro-v1:0/abcdefghijkl"
            },
            "custom model",
        ),
        ({"customizationType": "DISTILLATION"}, "DISTILLATION"),
        ({"customizationType": "MAGIC"}, "enum"),
        (
            {
                "customModelKmsKeyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{'a' * 8}-{'b' * 4}-{'c' * 4}-{'d' * 4}-{'e' * 12}"
            },
            "KMS",
        ),
        ({"trainingDataConfig": {}}, "s3Uri"),
        ({"outputDataConfig": {"s3Uri": "s3://no-such-bucket/out"}}, "no such bucket"),
        ({"outputDataConfig": {"s3Uri": "s3://../out"}}, "s3Uri"),
        ({"outputDataConfig": {"s3Uri": "file:///etc"}}, "s3Uri"),
        ({"hyperParameters": {"epochCount": "6"}}, "epochCount"),
        ({"hyperParameters": {"epochCount": "two"}}, "epochCount"),
        ({"hyperParameters": {"learningRate": "1e-3"}}, "learningRate"),
        ({"hyperParameters": {"learningRateWarmupSteps": "101"}}, "learningRateWarmupSteps"),
        ({"hyperParameters": {"batchSize": "2"}}, "batchSize"),
        ({"hyperParameters": {"rank": "16"}}, "rank"),
        ({"clientRequestToken": "-"}, "clientRequestToken"),
        ({"jobTags": [{"key": "a", "value": "1"}] * 2}, "Duplicate"),
        ({"jobTags": [{"key": "aws:a", "value": "1"}]}, "aws:"),
        ({"jobTags": [{"key": f"k{n}", "value": ""} for n in range(201)]}, "jobTags"),
    ],
)
def test_what_is_wrong_with_the_call_is_refused(shop: Shop, changes: dict[str, Any], said: str) -> None:
    code, message = refused(shop.bedrock, CREATE, **job_request(unique("wrong"), **changes))
    assert (code, said in message) == ("ValidationException", True), message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (records(7), "at least 8"),
        (records(3) + b"{\n" + records(8), "line 4"),
        (records(2) + records(1).replace(b"question 0", b"User: question") + records(8), "line 3"),
        (records(1).replace(b'"user"', b'"assistant"') + records(8), "line 1"),
        (records(8) + b'{"messages": []}\n', "line 9"),
        (records(8) + b"\xff\xfe\n", "line 9"),
    ],
)
def test_what_is_wrong_with_the_data_fails_the_job_with_file_and_line(shop: Shop, data: bytes, said: str) -> None:
    uri = shop.put(f"{unique('data')}.jsonl", data)
    job = shop.ended(shop.job(unique("data"), trainingDataConfig={"s3Uri": uri}))
    assert job["status"] == "Failed"
    assert uri in job["failureMessage"]
    assert said in job["failureMessage"]
    assert job["statusDetails"]["validationDetails"]["status"] == "Failed"
    assert "outputModelArn" not in job


def test_other_ways_to_fail(shop: Shop) -> None:
    missing = shop.ended(shop.job(unique("gone"), trainingDataConfig={"s3Uri": f"s3://{BUCKET}/gone.jsonl"}))
    assert (missing["status"], "gone.jsonl" in missing["failureMessage"]) == ("Failed", True)
    text = shop.ended(shop.job(unique("text"), trainingDataConfig={"s3Uri": shop.put("data.txt", records(8))}))
    assert (text["status"], ".jsonl" in text["failureMessage"]) == ("Failed", True)
    name = unique("name-fails")
    failed = shop.ended(shop.job(name, customModelName=name))
    assert failed["failureMessage"].startswith("loss is not finite at step 1")
    again = shop.ended(shop.job(unique("again"), customModelName=name))  # a failed job does not keep the name
    assert again["status"] == "Failed"


def test_a_job_that_has_ended_says_so_of_its_phase_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before the server has looked at its worker again, for which it takes its time here."""
    monkeypatch.setattr(customization_training, "POLL_SECONDS", 2.0)
    with open_shop(tmp_path) as shop:
        for end, status in (("fails", "Failed"), ("waits", "Stopped")):
            name = unique(f"ended-{end}")
            arn = shop.job(name, customModelName=name)
            if end == "waits":
                shop.live.at_work(arn[-12:])
                shop.bedrock.stop_model_customization_job(jobIdentifier=arn)
            job = shop.ended(arn)
            assert (job["status"], job["statusDetails"]["trainingDetails"]["status"]) == (status, status)


def test_stopping(shop: Shop) -> None:
    name = unique("stop-lingers")
    arn = shop.job(name, customModelName=name)
    shop.live.at_work(arn[-12:])
    shop.bedrock.stop_model_customization_job(jobIdentifier=name)
    shop.bedrock.stop_model_customization_job(jobIdentifier=arn)  # asked twice is the same, while it is Stopping
    stopping = shop.bedrock.get_model_customization_job(jobIdentifier=arn)
    assert stopping["status"] == stopping["statusDetails"]["trainingDetails"]["status"] == "Stopping"
    shop.live.let_go(arn[-12:])
    job = shop.ended(arn)
    assert job["status"] == "Stopped"
    assert "outputModelArn" not in job
    assert code_of(shop.bedrock, STOP, jobIdentifier=arn) == "ConflictException"
    assert code_of(shop.bedrock, STOP, jobIdentifier="no-such-job") == "ResourceNotFoundException"
    assert code_of(shop.bedrock, STOP, jobIdentifier="no such job") == "ValidationException"


def test_a_job_that_waits_for_its_turn_is_stopped_at_once(shop: Shop) -> None:
    first, second = unique("first-waits"), unique("second-waits")
    first_arn, second_arn = shop.job(first, customModelName=first), shop.job(second, customModelName=second)
    until(lambda: in_training(shop.bedrock, first_arn))
    shop.bedrock.stop_model_customization_job(jobIdentifier=second_arn)
    assert shop.bedrock.get_model_customization_job(jobIdentifier=second_arn)["status"] == "Stopped"
    shop.live.let_go(first_arn[-12:])
    assert shop.ended(first_arn)["status"] == "Completed"


def test_tokens_and_names(shop: Shop) -> None:
    name, token = unique("token"), unique("token")
    arn = shop.job(name, clientRequestToken=token)
    assert shop.job(name, clientRequestToken=token) == arn
    assert code_of(shop.bedrock, CREATE, **job_request(unique("x"), clientRequestToken=token)) == "ConflictException"
    assert code_of(shop.bedrock, CREATE, **job_request(name)) == "ConflictException"
    same_model = job_request(unique("x"), customModelName=f"{name}-model")
    assert code_of(shop.bedrock, CREATE, **same_model) == "ConflictException"
    assert code_of(shop.bedrock, CREATE, **job_request(unique("x"), customModelName="base")) == "ConflictException"
    assert shop.ended(arn)["status"] == "Completed"
    assert shop.job(name, clientRequestToken=token) == arn
    assert shop.bedrock.get_model_customization_job(jobIdentifier=arn)["clientRequestToken"] == token


def test_who_is_not_there(shop: Shop) -> None:
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"
    for identifier in ("nobody", arn, arn.replace(ACCOUNT, "1" * 12)):
        assert code_of(shop.bedrock, GET, jobIdentifier=identifier) == "ResourceNotFoundException"
    for identifier in (arn.replace("customization", "import"), "a b", "x" * 1012):
        assert code_of(shop.bedrock, GET, jobIdentifier=identifier) == "ValidationException"


def test_a_list_in_pages_by_every_filter(shop: Shop) -> None:
    word = unique("listed")
    began = datetime.now(UTC) - timedelta(milliseconds=2)
    gone = {"s3Uri": f"s3://{BUCKET}/gone.jsonl"}
    arns = [shop.job(f"{word}.{n}", customModelName=f"{word}-{n}", trainingDataConfig=gone) for n in range(5)]
    assert {shop.ended(arn)["status"] for arn in arns} == {"Failed"}

    def listed(**params: Any) -> list[str]:
        pages = shop.bedrock.get_paginator("list_model_customization_jobs")
        found = pages.paginate(nameContains=word, **params)
        return [job["jobArn"] for page in found for job in page["modelCustomizationJobSummaries"]]

    assert listed() == arns[::-1]
    assert listed(sortBy="CreationTime", sortOrder="Ascending", PaginationConfig={"PageSize": 2}) == arns
    assert listed(sortOrder="Descending", PaginationConfig={"PageSize": 1}) == arns[::-1]
    assert listed(statusEquals="Failed") == arns[::-1]
    assert listed(statusEquals="Completed") == []
    assert listed(creationTimeAfter=began) == arns[::-1]
    assert listed(creationTimeBefore=began) == []
    third = shop.bedrock.get_model_customization_job(jobIdentifier=arns[2])["creationTime"]
    assert set(listed(creationTimeAfter=third)) <= set(arns[3:])
    assert set(listed(creationTimeBefore=third)) <= set(arns[:2])


def test_a_page_goes_on_where_the_last_ended_whatever_came_meanwhile(shop: Shop) -> None:
    word = unique("paged")
    gone = {"s3Uri": f"s3://{BUCKET}/gone.jsonl"}
    arns = [shop.job(f"{word}-{n}", trainingDataConfig=gone) for n in range(3)]
    first = shop.bedrock.list_model_customization_jobs(nameContains=word, maxResults=2)
    shop.job(f"{word}-new", trainingDataConfig=gone)
    rest = shop.bedrock.list_model_customization_jobs(nameContains=word, maxResults=2, nextToken=first["nextToken"])
    found = first["modelCustomizationJobSummaries"] + rest["modelCustomizationJobSummaries"]
    assert [job["jobArn"] for job in found] == arns[::-1]
    assert "nextToken" not in rest


def test_what_is_no_page(shop: Shop) -> None:
    forged = base64.urlsafe_b64encode(b"2026-01-01' OR 1=1 -- abcdefghijkl").decode()
    for params in (
        {"nextToken": "x"},
        {"nextToken": forged},
        {"maxResults": 0},
        {"maxResults": 1001},
        {"sortBy": "Name"},
    ):
        with refusing("ValidationException"):
            shop.bedrock.list_model_customization_jobs(**params)


def test_arns_are_of_the_callers_region_and_any_region_is_taken(shop: Shop) -> None:
    arn = shop.job(unique("region"), trainingDataConfig={"s3Uri": f"s3://{BUCKET}/gone.jsonl"})
    far = boto(shop.url, "bedrock", region="eu-west-1")
    assert far.get_model_customization_job(jobIdentifier=arn)["jobArn"] == arn.replace("us-east-1", "eu-west-1")
