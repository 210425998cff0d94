"""CloudWatch's logs of training jobs, read as boto3 comes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.live import records
from tests.wire.shop import RECIPE, VALIDATION, Shop, channel, unique

GROUP = "/aws/sagemaker/TrainingJobs"


def lines(shop: Shop, job: str, **params: Any) -> list[str]:
    logs = shop.client("logs")
    streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    assert [stream["logStreamName"].startswith(f"{job}/algo-1-") for stream in streams] == [True]
    events = logs.get_log_events(
        logGroupName=GROUP, logStreamName=streams[0]["logStreamName"], startFromHead=True, **params
    )["events"]
    return [event["message"] for event in events]


def test_a_job_writes_a_line_for_each_step_once(shop: Shop) -> None:
    name = unique("logged")
    shop.training_job(name)
    shop.trained(name)
    first = lines(shop, name)
    assert first[0] == f"Training job {name}: Starting the training job"
    assert first[-1] == f"Training job {name}: Training job completed"
    assert [re.sub(r"max_steps=.*", "", line) for line in first[1:-1]] == [
        "Epoch 0: : 1it, reduced_train_loss=1, global_step=1, ",
        "Epoch 0: : 1it, val_loss=0.75, global_step=1, ",
    ]
    assert lines(shop, name) == first


def test_why_a_job_failed_is_its_last_line(shop: Shop) -> None:
    name = unique("unlogged")
    uri = shop.put(f"{name}.jsonl", records(3) + b"{\n" + records(8))
    channels = [channel("train", uri), channel("validation", VALIDATION), channel("recipe", RECIPE, "S3Prefix")]
    shop.training_job(name, InputDataConfig=channels)
    shop.trained(name)
    assert f"{uri} line 4" in lines(shop, name)[-1]


def test_a_job_that_nobody_made_has_no_stream(shop: Shop) -> None:
    shop.trained(shop.training_job(unique("any")).rsplit("/", 1)[-1])
    logs = shop.client("logs")
    assert logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="nobody/")["logStreams"] == []
    with pytest.raises(ClientError) as caught:
        logs.get_log_events(logGroupName=GROUP, logStreamName="nobody/algo-1-1")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
