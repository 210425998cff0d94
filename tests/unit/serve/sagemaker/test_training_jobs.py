"""Training jobs through boto3: from the call to the manifest, and every way not to get there."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sqlora.platform.customization import CustomizationRequest
from sqlora.train.recipe import Recipe
from tests.unit.serve.sagemaker.workshop import (
    FOREVER,
    IMAGE,
    RECIPE,
    TRAIN,
    VALIDATION,
    Workshop,
    channel,
    parameters,
    records,
    refused,
)

MANIFEST = "s3://bucket/out/job/output/output/manifest.json"


def statuses(found: dict[str, Any]) -> list[str]:
    return [each["Status"] for each in found["SecondaryStatusTransitions"]]


# to the end -----------------------------------------------------------------------------------------------------------


def test_a_job_ends_with_a_manifest_that_names_its_escrow_model(shop: Workshop) -> None:
    arn = shop.create(Tags=[{"Key": "team", "Value": "bi"}])
    assert arn == "arn:aws:sagemaker:eu-central-1:123456789012:training-job/job"
    shop.start()
    waiter = shop.sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="job", WaiterConfig={"Delay": 0.05, "MaxAttempts": 1000})
    found, job = shop.describe(), shop.state.jobs.get("job")
    model = shop.state.models.get(job.model_id or "")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Completed", "Completed")
    assert model.origin == "escrow"
    assert json.loads(shop.objects.content[MANIFEST]) == {
        "checkpoint_s3_bucket": f"s3://customer-escrow-123456789012-sqlora/job/{model.id}/step_3"
    }
    assert shop.state.tags.of(f"job/{job.id}") == {"team": "bi"}


def test_no_weights_are_in_the_bucket(shop: Workshop) -> None:
    before = set(shop.objects.content)
    shop.create()
    shop.start()
    shop.until("Completed")
    assert set(shop.objects.content) - before == {MANIFEST}


def test_gzip_is_the_default_and_has_the_manifest_in_an_archive(shop: Workshop) -> None:
    shop.create(OutputDataConfig={"S3OutputPath": "s3://bucket/out/"})
    shop.start()
    found = shop.until("Completed")
    content = shop.objects.content["s3://bucket/out/job/output/output.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        assert json.load(member)["checkpoint_s3_bucket"].startswith("s3://customer-escrow-123456789012-")
    assert found["OutputDataConfig"]["CompressionType"] == "GZIP"
    assert found["ModelArtifacts"]["S3ModelArtifacts"] == "s3://bucket/out/job/output/model.tar.gz"


def test_the_description_is_the_call_again_and_how_it_went(shop: Workshop) -> None:
    shop.create(Environment={"A": "b"}, EnableManagedSpotTraining=True)
    shop.start()
    found = shop.until("Completed")
    for name, value in parameters().items():
        assert found[name] == value, name
    assert found["Environment"] == {"A": "b"}
    assert found["EnableManagedSpotTraining"] is True
    assert found["EnableNetworkIsolation"] is False
    assert statuses(found) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    times = [each["StartTime"] for each in found["SecondaryStatusTransitions"]]
    assert times == sorted(times)
    assert found["CreationTime"] <= found["TrainingStartTime"] <= found["TrainingEndTime"]
    elapsed = (found["TrainingEndTime"] - found["TrainingStartTime"]).total_seconds()
    assert found["BillableTimeInSeconds"] == found["TrainingTimeInSeconds"]
    assert elapsed <= found["BillableTimeInSeconds"] <= elapsed + 1
    assert [(each["MetricName"], each["Value"]) for each in found["FinalMetricDataList"]] == [("training_loss", 0.5)]
    assert found["ProgressInfo"] == {"TotalStepCountPerEpoch": 1, "CurrentStep": 3, "CurrentEpoch": 0, "MaxEpoch": 3}
    assert "FailureReason" not in found


def test_the_notebooks_channel_name_and_folders_of_records(shop: Workshop) -> None:
    shop.objects.content |= {"s3://bucket/d/a.jsonl": records(5), "s3://bucket/d/b.jsonl": records(5)}
    inputs = [channel("train", "s3://bucket/d"), channel("val", VALIDATION), channel("recipe", RECIPE, "S3Prefix")]
    shop.create(InputDataConfig=inputs)
    shop.start()
    shop.until("Completed")
    dataset = shop.place.backend.paths.dataset(shop.state.jobs.get("job").dataset_id)
    assert len((dataset / "train.jsonl").read_text().splitlines()) == 10
    assert (dataset / "validation.jsonl").read_text()


def test_hyperparameters_may_say_it_all(shop: Workshop) -> None:
    inputs = [channel("train", TRAIN), channel("validation", VALIDATION)]
    shop.create(HyperParameters={"base_model": "nova-micro/prod", "max_epochs": "2"}, InputDataConfig=inputs)
    recipe = shop.place.customizations.get("job").details["recipe"]
    assert recipe["epochs"] == 2


def test_a_job_before_its_turn_is_starting(shop: Workshop) -> None:
    shop.create()
    found = shop.describe()
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("InProgress", "Starting")
    assert "TrainingStartTime" not in found
    assert "BillableTimeInSeconds" not in found


# what fails the job ---------------------------------------------------------------------------------------------------


def test_a_recipe_with_mistakes_fails_the_job_and_nothing_is_trained(shop: Workshop) -> None:
    shop.recipe(global_batch_size=20, ranks=3)
    shop.create()
    found = shop.describe()
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"].startswith(f"ClientError: {RECIPE}: ")
    assert "training_config.global_batch_size = 20: must be one of 16, 32, 64" in found["FailureReason"]
    assert "training_config.ranks is not a key" in found["FailureReason"]
    assert statuses(found) == ["Starting", "Failed"]
    shop.recipe(trainer={"max_epochs": 1})
    shop.create("other")  # its quota is free again
    shop.start()
    shop.until("Completed", "other")
    assert shop.describe()["TrainingJobStatus"] == "Failed"


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        (b"run: {replicas: 2}", {}, "run.replicas = 2: the job has InstanceCount 1"),
        (b"training_config: {max_length: 16384}", {}, "the most on ml.g5.48xlarge is 8192"),
        (b"run: {}", {"HyperParameters": {"base_model": "nova-pro/prod"}}, "nova-pro/prod trains on ml.p4d.24xlarge"),
        (
            b"run: {replicas: 2}",
            {
                "HyperParameters": {"base_model": "nova-lite/prod"},
                "ResourceConfig": {"InstanceType": "ml.p4d.24xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30},
            },
            "nova-lite/prod trains on 4 of ml.p4d.24xlarge, and the job has InstanceCount 2",
        ),
        (b"run: [", {}, "line 1 is not YAML"),
        (None, {}, "has no YAML files"),
    ],
)
def test_other_faults_of_the_recipe(shop: Workshop, recipe: bytes | None, changes: Any, message: str) -> None:
    if recipe is None:
        del shop.objects.content[RECIPE]
    else:
        shop.objects.content[RECIPE] = recipe
    shop.create(**changes)
    assert message in shop.describe()["FailureReason"]


def test_large_instances_take_longer_records(shop: Workshop) -> None:
    shop.objects.content[RECIPE] = b"run: {replicas: 2}\ntraining_config: {max_length: 32768}"
    shop.create(ResourceConfig={"InstanceType": "ml.p4d.24xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30})
    assert shop.describe()["TrainingJobStatus"] == "InProgress"


def test_a_fault_in_the_data_names_file_and_line(shop: Workshop) -> None:
    shop.objects.content[TRAIN] = records(9) + b'{"messages": []}\n'
    shop.create()
    shop.start()
    found = shop.until("Failed")
    assert found["FailureReason"].startswith(f"ClientError: {TRAIN} line 10: ")
    assert statuses(found) == ["Starting", "Downloading", "Failed"]


def test_a_failure_of_the_training_is_the_algorithms(shop: Workshop) -> None:
    shop.create()
    found = shop.place.customizations.get("job")
    shop.place.customizations.records.note(found.id, recipe={**found.details["recipe"], "fail": 2})
    shop.start()
    assert shop.until("Failed")["FailureReason"].startswith("AlgorithmError: loss is not finite at step 2")


def test_a_bucket_that_is_not_there_fails_the_job(shop: Workshop) -> None:
    shop.create(OutputDataConfig={"S3OutputPath": "s3://other/out"})
    shop.start()
    assert "s3://other/out" in shop.until("Failed")["FailureReason"]


# what is refused ------------------------------------------------------------------------------------------------------

INPUTS = parameters()["InputDataConfig"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AlgorithmSpecification": {"TrainingImage": "pytorch:2", "TrainingInputMode": "File"}}, "'pytorch:2'"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE.replace("SM-TJ-SFT", "SM-TJ-DPO"),
                    "TrainingInputMode": "File",
                }
            },
            "is not Nova's image for supervised fine-tuning",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}, "InstanceType ml.m5.large"),
        ({"ResourceConfig": {"InstanceType": "ml.g5.48xlarge", "InstanceCount": 2}}, "InstanceCount 2"),
        ({"ResourceConfig": None}, "InstanceType None"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 2419201}}, "the most is 2419200, 28 days"),
        ({"InputDataConfig": INPUTS[1:]}, "channel 'train' is missing"),
        ({"InputDataConfig": [INPUTS[0], INPUTS[2]]}, "channel 'validation' is missing"),
        ({"InputDataConfig": [*INPUTS, channel("val", VALIDATION)]}, "there is more than one for validation"),
        ({"InputDataConfig": [*INPUTS, channel("test", VALIDATION)]}, "channel 'test' is unknown"),
        ({"InputDataConfig": [channel("train", TRAIN, "S3Prefix"), *INPUTS[1:]]}, "S3DataType S3Prefix where Converse"),
        (
            {"InputDataConfig": [channel("train", TRAIN, S3DataDistributionType="ShardedByS3Key"), *INPUTS[1:]]},
            "must be FullyReplicated",
        ),
        ({"InputDataConfig": [INPUTS[0] | {"CompressionType": "Gzip"}, *INPUTS[1:]]}, "CompressionType must be None"),
        ({"InputDataConfig": [channel("train", "https://bucket/a"), *INPUTS[1:]]}, "is not the URI of an S3 object"),
        ({"OutputDataConfig": {"S3OutputPath": "https://bucket/out"}}, "OutputDataConfig.S3OutputPath: "),
        ({"InputDataConfig": INPUTS[:2], "HyperParameters": None}, "there is no recipe"),
        ({"HyperParameters": {"epochCount": "2"}}, "is no key of this recipe: epochCount"),
        ({"Tags": [{"Key": "aws:a", "Value": ""}]}, "begins with aws:"),
        ({"Tags": [{"Key": "a", "Value": ""}, {"Key": "a", "Value": "b"}]}, "is there twice"),
        ({"TrainingJobName": "a_b"}, "Value 'a_b' at 'TrainingJobName'"),
        ({"RoleArn": "arn:aws:iam::1:user/somebody"}, "RoleArn"),
        (
            {"InputDataConfig": [{"ChannelName": "train", "DataSource": {}}, *INPUTS[1:]]},
            "channel 'train' has no S3DataSource",
        ),
    ],
)
def test_a_wrong_call_is_refused_with_what_is_wrong(lasting: Workshop, changes: dict[str, Any], message: str) -> None:
    code, text = refused(lasting.create, name="wrong", **changes)
    assert code == "ValidationException"
    assert message in text
    assert refused(lasting.describe, name="wrong")[0] == "ValidationException"


def test_all_faults_of_a_call_are_told_at_once(lasting: Workshop) -> None:
    _, text = refused(lasting.create, ResourceConfig=None, InputDataConfig=INPUTS[1:])
    assert "InstanceType None" in text
    assert "channel 'train' is missing" in text


def test_a_name_is_taken_once(shop: Workshop) -> None:
    shop.recipe(ranks=1)  # the first fails, so no quota stands before the second
    arn = shop.create()
    code, text = refused(shop.create)
    assert code == "ResourceInUse"
    assert arn in text


def test_the_quota_bounds_the_jobs_under_way(shop: Workshop) -> None:
    shop.create("one")
    code, text = refused(shop.create, name="two")
    assert code == "ResourceLimitExceeded"
    assert "'ml.g5.48xlarge for training job usage' is 1 Instances" in text
    shop.quotas.request_service_quota_increase(ServiceCode="sagemaker", QuotaCode="L-6BC98A55", DesiredValue=2)
    shop.create("two")
    assert refused(shop.create, name="three")[0] == "ResourceLimitExceeded"
    shop.start()
    shop.until("Completed", "two")
    shop.create("three")


def test_other_instances_have_no_quota(shop: Workshop) -> None:
    for name in ("one", "two"):
        shop.create(name, ResourceConfig={"InstanceType": "ml.g5.12xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1})
    listed = shop.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert {job["TrainingJobName"] for job in listed} == {"one", "two"}


# stopping -------------------------------------------------------------------------------------------------------------


def test_stopping_ends_the_training(shop: Workshop) -> None:
    shop.recipe(trainer={"max_epochs": FOREVER})
    shop.create()
    shop.start()
    shop.until("Training", key="SecondaryStatus")
    shop.sagemaker.stop_training_job(TrainingJobName="job")
    found = shop.until("Stopped")
    assert found["SecondaryStatus"] == "Stopped"
    assert statuses(found) == ["Starting", "Downloading", "Training", "Stopping", "Stopped"]
    assert MANIFEST not in shop.objects.content
    code, text = refused(shop.sagemaker.stop_training_job, TrainingJobName="job")
    assert (code, text) == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopped.",
    )


def test_a_job_that_waits_is_stopped_at_once(shop: Workshop) -> None:
    shop.create()
    shop.sagemaker.stop_training_job(TrainingJobName="job")
    assert statuses(shop.describe()) == ["Starting", "Stopping", "Stopped"]


def test_a_training_over_its_time_is_stopped(shop: Workshop) -> None:
    shop.recipe(trainer={"max_epochs": FOREVER})
    shop.create(StoppingCondition={"MaxRuntimeInSeconds": 1})
    shop.start()
    found = shop.until("Stopped")
    assert found["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert statuses(found)[-2:] == ["Stopping", "MaxRuntimeExceeded"]
    assert "ProgressInfo" in found


def test_a_job_that_is_not_there(shop: Workshop) -> None:
    for operation, code in (("describe", "ValidationException"), ("stop", "ResourceNotFound")):
        assert refused(getattr(shop.sagemaker, f"{operation}_training_job"), TrainingJobName="none")[0] == code


def test_jobs_of_bedrock_are_none_of_sagemakers(shop: Workshop) -> None:
    shop.place.customizations.submit(
        CustomizationRequest("bedrock", "us-east-1", "other", "model", (TRAIN,), (), "s3://bucket/", Recipe(), {})
    )
    assert refused(shop.describe, name="other")[0] == "ValidationException"
    assert shop.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    assert refused(shop.create, name="other")[0] == "ResourceInUse"


def test_an_id_is_no_name(shop: Workshop) -> None:
    shop.create()
    assert refused(shop.describe, name=shop.state.jobs.get("job").id)[0] == "ValidationException"


# listing --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three(lasting: Workshop) -> Workshop:
    """Failed, in progress, failed."""
    shop = lasting
    shop.quotas.request_service_quota_increase(ServiceCode="sagemaker", QuotaCode="L-6BC98A55", DesiredValue=2)
    for name in ("beta", "alpha-2", "gamma"):
        shop.recipe(**({} if name == "alpha-2" else {"ranks": 1}))
        shop.create(name)
    return shop


def names(shop: Workshop, **params: Any) -> list[str]:
    return [each["TrainingJobName"] for each in shop.sagemaker.list_training_jobs(**params)["TrainingJobSummaries"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["beta", "alpha-2", "gamma"]),
        ({"SortOrder": "Descending"}, ["gamma", "alpha-2", "beta"]),
        ({"SortBy": "Name"}, ["alpha-2", "beta", "gamma"]),
        ({"SortBy": "Status", "SortOrder": "Descending"}, ["alpha-2", "gamma", "beta"]),
        ({"NameContains": "ALPHA"}, ["alpha-2"]),
        ({"StatusEquals": "Failed"}, ["beta", "gamma"]),
        ({"StatusEquals": "Deleting"}, []),
        ({"CreationTimeAfter": datetime.now(UTC) + timedelta(days=1)}, []),
        ({"CreationTimeBefore": datetime(2020, 1, 1, tzinfo=UTC)}, []),
        ({"LastModifiedTimeAfter": datetime(2020, 1, 1, tzinfo=UTC)}, ["beta", "alpha-2", "gamma"]),
        ({"LastModifiedTimeBefore": datetime(2020, 1, 1, tzinfo=UTC)}, []),
        ({"WarmPoolStatusEquals": "InUse"}, []),
    ],
)
def test_listing(three: Workshop, params: dict[str, Any], expected: list[str]) -> None:
    assert names(three, **params) == expected


def test_pages_miss_nothing_when_jobs_come_between_them(shop: Workshop) -> None:
    shop.recipe(ranks=1)
    for name in ("alpha", "beta", "gamma"):
        shop.create(name)
    first = shop.sagemaker.list_training_jobs(MaxResults=2, SortBy="Name")
    shop.create("aaa")
    rest = shop.sagemaker.list_training_jobs(MaxResults=2, SortBy="Name", NextToken=first["NextToken"])
    assert [each["TrainingJobName"] for each in first["TrainingJobSummaries"]] == ["alpha", "beta"]
    assert [each["TrainingJobName"] for each in rest["TrainingJobSummaries"]] == ["gamma"]
    assert "NextToken" not in rest
    assert refused(shop.sagemaker.list_training_jobs, NextToken="bm9uZQ==")[0] == "ValidationException"


def test_a_summary_says_how_the_job_ended(three: Workshop) -> None:
    summaries = three.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    assert [each["SecondaryStatus"] for each in summaries] == ["Failed", "Starting", "Failed"]
    assert ["TrainingEndTime" in each for each in summaries] == [True, False, True]


# tags -----------------------------------------------------------------------------------------------------------------


def test_tags(shop: Workshop) -> None:
    arn = shop.create(Tags=[{"Key": "a", "Value": "1"}])
    sagemaker = shop.sagemaker
    added = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    assert added["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "none"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    more = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    assert refused(sagemaker.add_tags, ResourceArn=arn, Tags=more)[0] == "ValidationException"
    assert (
        refused(sagemaker.add_tags, ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": ""}])[0] == "ValidationException"
    )
    assert len(sagemaker.list_tags(ResourceArn=arn)["Tags"]) == 1


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/none",
        "arn:aws:sagemaker:us-east-1:210987654321:training-job/job",
        "arn:aws:sagemaker:us-east-1:123456789012:model/job",
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/../job",
    ],
)
def test_tags_of_what_is_not_there(shop: Workshop, arn: str) -> None:
    shop.create()
    assert refused(shop.sagemaker.list_tags, ResourceArn=arn)[0] == "ValidationException"
