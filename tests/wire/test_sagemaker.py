"""SageMaker's training jobs over the wire, up to a deployment of what they have made."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.wire.clients import code_of, refused
from tests.wire.live import records, until
from tests.wire.shop import (
    ACCOUNT,
    BUCKET,
    RECIPE,
    ROLE,
    TRAIN,
    VALIDATION,
    Shop,
    channel,
    training_request,
    unique,
    user,
)
from tests.wire.test_bedrock_models import imported

CREATE = "CreateTrainingJob"


def test_from_training_job_to_answer(shop: Shop) -> None:
    name = unique("path-b")
    tags = [{"Key": "team", "Value": "retail"}]
    arn = shop.training_job(name, Tags=tags)
    assert arn == f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/{name}"
    job = shop.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    statuses = [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(each["StartTime"] <= each["EndTime"] for each in job["SecondaryStatusTransitions"])
    assert {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]} == {
        "training_loss": 0.5,
        "validation_loss": 0.75,
    }
    assert job["BillableTimeInSeconds"] >= 1
    assert job["HyperParameters"]["base_model"] == "nova-micro/prod"
    assert shop.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags

    key = f"sagemaker/{name}/output/output/manifest.json"
    assert shop.keys(f"sagemaker/{name}/") == [key]
    manifest = json.loads(shop.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    escrow = manifest["checkpoint_s3_bucket"]
    assert escrow.startswith(f"s3://customer-escrow-{ACCOUNT}-")
    source = {"s3DataSource": {"s3Uri": escrow}}
    model_name = unique("imported")
    model = imported(
        shop, shop.bedrock.create_custom_model(modelName=model_name, roleArn=ROLE, modelSourceConfig=source)["modelArn"]
    )
    assert (model["modelStatus"], model["customizationType"]) == ("Active", "IMPORTED")
    answer = shop.runtime.converse(modelId=shop.active(unique("path-b"), model["modelArn"]), messages=user("?"))
    assert answer["output"]["message"]["content"][0]["text"].startswith(f"{name}-")
    listed = shop.bedrock.list_custom_models(nameContains=name)["modelSummaries"]
    assert listed == []  # what lies in escrow is not the customer's

    with pytest.raises(shop.s3.exceptions.ClientError):
        shop.s3.list_objects_v2(Bucket=escrow.split("/")[2])


def test_a_compressed_manifest(shop: Shop) -> None:
    name = unique("gzip")
    output = {"S3OutputPath": f"s3://{BUCKET}/sagemaker/", "CompressionType": "GZIP"}
    shop.training_job(name, OutputDataConfig=output)
    assert shop.trained(name)["TrainingJobStatus"] == "Completed"
    body = shop.s3.get_object(Bucket=BUCKET, Key=f"sagemaker/{name}/output/output.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["manifest.json"]


def test_botocores_waiter(shop: Shop) -> None:
    name = unique("waiter")
    shop.training_job(name)
    waiter = shop.sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 2000})
    assert shop.trained(name)["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TrainingJobName": "a_b"}, "trainingJobName"),
        ({"TrainingJobName": "../x"}, "trainingJobName"),
        ({"TrainingJobName": None}, "trainingJobName"),
        ({"RoleArn": "x"}, "roleArn"),
        ({"AlgorithmSpecification": {"TrainingImage": "x/y:z", "TrainingInputMode": "File"}}, "TrainingImage"),
        ({"AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "Telepathy"}}, "trainingInputMode"),
        ({"InputDataConfig": [channel("train", TRAIN)]}, "validation"),
        (
            {"InputDataConfig": [channel("train", TRAIN), channel("validation", VALIDATION)], "HyperParameters": {}},
            "recipe",
        ),
        ({"InputDataConfig": [channel("train", TRAIN, "S3Prefix"), channel("val", VALIDATION)]}, "Converse"),
        ({"InputDataConfig": [channel("train", TRAIN), channel("val", VALIDATION), channel("extra", TRAIN)]}, "extra"),
        ({"InputDataConfig": [channel("train", "s3://../x"), channel("val", VALIDATION)]}, "S3Uri"),
        ({"HyperParameters": {"rank": "8"}}, "rank"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}}, "ml.m5.large"),
        (
            {"ResourceConfig": {"InstanceType": "ml.g5.12xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30}},
            "InstanceCount",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "maxRuntimeInSeconds"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 28 * 24 * 3600 + 1}}, "MaxRuntimeInSeconds"),
        ({"Tags": [{"Key": "a", "Value": "1"}] * 2}, "twice"),
        ({"ServerlessJobConfig": {"JobType": "FineTuning", "BaseModelArn": "x"}}, "ServerlessJobConfig"),
    ],
)
def test_what_is_wrong_with_the_call_is_refused(shop: Shop, changes: dict[str, Any], said: str) -> None:
    code, message = refused(shop.sagemaker, CREATE, **training_request(unique("wrong"), **changes))
    assert (code, said.lower() in message.lower()) == ("ValidationException", True), message


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (b"training_config: {trainer: {max_epochs: 0}}", "max_epochs"),
        (b"training_config: {rank: 8}", "rank"),
        (b"training_config: {max_length: 65536}", "max_length"),
        (b"training_config: {model: {peft: {peft_scheme: null}}}", "peft_scheme"),
        (b"run: {replicas: 2}", "replicas"),
        (b"a: [", "line 1"),
        (b"!!python/object/apply:os.system ['true']", "line 1"),
    ],
)
def test_what_is_wrong_with_the_recipe_fails_the_job(shop: Shop, recipe: bytes, said: str) -> None:
    name = unique("recipe")
    uri = shop.put(f"{name}/recipe.yaml", recipe)
    channels = [channel("train", TRAIN), channel("validation", VALIDATION), channel("recipe", uri, "S3Prefix")]
    shop.training_job(name, InputDataConfig=channels)
    job = shop.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("ClientError: ")
    assert uri in job["FailureReason"]
    assert said in job["FailureReason"]


def test_what_is_wrong_with_the_data_fails_the_job_with_file_and_line(shop: Shop) -> None:
    name = unique("data")
    uri = shop.put(f"{name}.jsonl", records(3) + b"{\n" + records(8))
    channels = [channel("train", uri), channel("validation", VALIDATION), channel("recipe", RECIPE, "S3Prefix")]
    shop.training_job(name, InputDataConfig=channels)
    assert f"{uri} line 4" in shop.trained(name)["FailureReason"]


def test_a_training_that_fails(shop: Shop) -> None:
    name = unique("breaks-fails")
    shop.training_job(name)
    job = shop.trained(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: loss is not finite at step 1")


def test_stopping(shop: Shop) -> None:
    name = unique("stop-waits")
    shop.training_job(name)
    id = shop.live.backend.state.jobs.get(name).id
    shop.live.at_work(id)
    assert shop.sagemaker.describe_training_job(TrainingJobName=name)["SecondaryStatus"] == "Training"
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    job = shop.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "Stopping" in [each["Status"] for each in job["SecondaryStatusTransitions"]]
    assert code_of(shop.sagemaker, "StopTrainingJob", TrainingJobName=name) == "ValidationException"
    assert code_of(shop.sagemaker, "StopTrainingJob", TrainingJobName="nobody") == "ResourceNotFound"


def test_a_job_over_its_time_is_stopped(shop: Shop) -> None:
    name = unique("overdue-waits")
    shop.training_job(name, StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = shop.trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_names_and_the_quota(shop: Shop) -> None:
    name = unique("quota-waits")
    big = {"InstanceType": "ml.g5.48xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}
    shop.training_job(name, ResourceConfig=big)
    assert code_of(shop.sagemaker, CREATE, **training_request(name)) == "ResourceInUse"
    code, message = refused(shop.sagemaker, CREATE, **training_request(unique("more"), ResourceConfig=big))
    assert (code, "ml.g5.48xlarge for training job usage" in message) == ("ResourceLimitExceeded", True)
    shop.sagemaker.stop_training_job(TrainingJobName=name)
    shop.trained(name)
    assert code_of(shop.sagemaker, "DescribeTrainingJob", TrainingJobName="nobody") == "ValidationException"
    assert code_of(shop.sagemaker, "DescribeTrainingJob", TrainingJobName="a_b") == "ValidationException"


def test_a_list_in_pages_by_every_filter(shop: Shop) -> None:
    word = unique("listed")
    began = datetime.now(UTC) - timedelta(seconds=1)  # JSON 1.1's times are cut to seconds by the client
    gone = [
        channel("train", f"s3://{BUCKET}/gone.jsonl"),
        channel("val", VALIDATION),
        channel("recipe", RECIPE, "S3Prefix"),
    ]
    names = [f"{word}-{letter}" for letter in "cab"]
    for name in names:
        shop.training_job(name, InputDataConfig=gone)
        until(lambda name=name: shop.trained(name))

    def listed(**params: Any) -> list[str]:
        pages = shop.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=word, **params)
        return [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]

    assert listed() == names
    assert listed(SortOrder="Descending", PaginationConfig={"PageSize": 1}) == names[::-1]
    assert listed(SortBy="Name", PaginationConfig={"PageSize": 2}) == sorted(names)
    assert listed(StatusEquals="Failed") == names
    assert listed(StatusEquals="InProgress") == []
    assert listed(CreationTimeAfter=began) == names
    assert listed(CreationTimeBefore=began) == []
    assert listed(LastModifiedTimeAfter=began) == names
    for params in ({"NextToken": "x"}, {"MaxResults": 0}, {"MaxResults": 101}, {"SortBy": "Size"}):
        assert code_of(shop.sagemaker, "ListTrainingJobs", **params) == "ValidationException"


def test_tags(shop: Shop) -> None:
    arn = shop.training_job(unique("tags"))
    made = shop.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    assert made["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    pages = shop.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 50})
    assert [tag["Key"] for page in pages for tag in page["Tags"]] == ["a", "b"]
    shop.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "never"])
    assert shop.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    many = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    assert code_of(shop.sagemaker, "AddTags", ResourceArn=arn, Tags=many) == "ValidationException"
    for operation, more in (("AddTags", {"Tags": []}), ("ListTags", {}), ("DeleteTags", {"TagKeys": ["a"]})):
        for wrong in (f"{arn}x", "x", arn.replace("training-job", "model"), arn.replace(ACCOUNT, "1" * 12)):
            assert code_of(shop.sagemaker, operation, ResourceArn=wrong, **more) == "ValidationException"
