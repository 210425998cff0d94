"""A project whose training jobs are asked for over HTTP; the store is in memory and the workers train nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import yaml
from botocore.exceptions import ClientError

from sqlora.platform import worker
from sqlora.platform.customization import Customizations
from sqlora.serve import sagemaker
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.aws.api import AwsApi
from sqlora.serve.place import Place
from tests.conformance.workplace import open_backend, write_project
from tests.unit.platform.fake_training import COMMAND
from tests.unit.platform.memory_objects import MemoryObjects
from tests.unit.serve.aws.running import client, running

ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
IMAGE = "708977205387.dkr.ecr.us-east-1.amazonaws.com/nova-fine-tune-repo:SM-TJ-SFT-latest"
TRAIN, VALIDATION, RECIPE = "s3://bucket/train.jsonl", "s3://bucket/val.jsonl", "s3://bucket/job/recipe/recipe.yaml"
FOREVER = 1000  # epochs; the fake training takes 10 ms for each
WAIT = 60.0


def records(count: int) -> bytes:
    lines = [
        {
            "system": [{"text": "You write SQL."}],
            "messages": [
                {"role": "user", "content": [{"text": f"question {n}?"}]},
                {"role": "assistant", "content": [{"text": f"SELECT {n}"}]},
            ],
        }
        for n in range(count)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


class Workshop:
    """``sagemaker`` and ``quotas`` are boto3 clients; every answer they get is judged by the service's model."""

    def __init__(self, place: Place, objects: MemoryObjects, url: str) -> None:
        self.place, self.objects = place, objects
        self.state = place.backend.state
        self.sagemaker, self.quotas = client("sagemaker", url), client("service-quotas", url)

    def recipe(self, **training_config: Any) -> None:
        """Put a recipe of these values where `create` says it is."""
        self.objects.put(RECIPE, yaml.safe_dump({"training_config": training_config}).encode())

    def create(self, name: str = "job", **changes: Any) -> str:
        """The ARN. A change of None leaves the parameter out."""
        params = parameters(name) | changes
        made = self.sagemaker.create_training_job(**{key: value for key, value in params.items() if value is not None})
        return str(made["TrainingJobArn"])

    def describe(self, name: str = "job") -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def until(self, status: str, name: str = "job", key: str = "TrainingJobStatus") -> dict[str, Any]:
        deadline = time.monotonic() + WAIT
        while (found := self.describe(name))[key] != status:
            ended = found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")
            assert not ended, f"{found['SecondaryStatus']}, not {status}: {found}"
            assert time.monotonic() < deadline, f"still {found}"
            time.sleep(0.02)
        return found

    def start(self) -> None:
        """Begin to work the jobs."""
        self.place.customizations.start()

    def close(self) -> None:
        self.place.customizations.close()
        for job in self.state.jobs.list():
            if worker.alive(job) and job.pid is not None:
                psutil.Process(job.pid).kill()


def parameters(name: str = "job") -> dict[str, Any]:
    """What a client sends that does all right."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {
            "base_model": "nova-micro/prod",
            "sagemaker_recipe_local_path": "/opt/ml/input/data/recipe/recipe.yaml",
        },
        "InputDataConfig": [
            channel("train", TRAIN),
            channel("validation", VALIDATION),
            channel("recipe", "s3://bucket/job/recipe", "S3Prefix"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "CompressionType": "NONE"},
        "ResourceConfig": {"InstanceType": "ml.g5.48xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 432000},
    }


def channel(name: str, uri: str, kind: str = "Converse", **source: str) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"} | source
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


@contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    write_project(folder)
    backend, _ = open_backend(folder)
    with backend:
        objects = MemoryObjects()
        objects.content = {TRAIN: records(8), VALIDATION: records(2)}
        customizations = Customizations(backend.state, backend.paths, objects, "base", 0, COMMAND, retries=(0.0,))
        place = Place(backend, cast(Any, None), customizations, objects)  # nobody asks the models anything here
        api = AwsApi(sagemaker.handlers(place), Authenticate(backend.state.keys, True))
        with running(api) as url:
            made = Workshop(place, objects, url)
            made.recipe(trainer={"max_epochs": 3})
            try:
                yield made
            finally:
                made.close()


def refused(operation: Any, **params: Any) -> tuple[str, str]:
    """Code and message of the error."""
    with pytest.raises(ClientError) as caught:
        operation(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]
