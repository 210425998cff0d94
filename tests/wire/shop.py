"""A live server with S3, clients of every service, and short ways to jobs, models and deployments."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.conformance.workplace import add_model
from tests.unit.serve.sagemaker.workshop import channel, parameters
from tests.wire.clients import KEY, SECRET, boto, open_ai
from tests.wire.live import Live, live, records, until

ACCOUNT = "123456789012"
BUCKET = "larkspur"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Customization"
BASE = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k"
IMAGE = "708977205387.dkr.ecr.us-east-1.amazonaws.com/nova-fine-tune-repo:SM-TJ-SFT-latest"
TRAIN, VALIDATION = f"s3://{BUCKET}/train.jsonl", f"s3://{BUCKET}/validation.jsonl"
RECIPE = f"s3://{BUCKET}/recipe/recipe.yaml"
MODEL = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:custom-model/amazon.nova-micro-v1:0:128k/"
ENDED = ("Completed", "Failed", "Stopped")
DEPLOYMENT = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:custom-model-deployment/"

_numbers = itertools.count(1)


def unique(name: str) -> str:
    """A name that no other test has."""
    return f"{name}-{next(_numbers)}"


class Shop:
    """``key`` and ``secret`` sign what the clients send."""

    def __init__(self, live: Live, key: str = KEY, secret: str = SECRET) -> None:
        self.live, self.url = live, live.url
        self._key, self._secret = key, secret

    def client(self, service: str, **config: Any) -> Any:
        return boto(self.url, service, self._key, self._secret, **config)

    @cached_property
    def bedrock(self) -> Any:
        return self.client("bedrock")

    @cached_property
    def runtime(self) -> Any:
        return self.client("bedrock-runtime")

    @cached_property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @cached_property
    def quotas(self) -> Any:
        return self.client("service-quotas")

    @cached_property
    def s3(self) -> Any:
        return self.client("s3", s3={"addressing_style": "path"})

    @cached_property
    def openai(self) -> Any:
        return open_ai(self.url)

    # S3 ---------------------------------------------------------------------------------------------------------------

    def stock(self) -> None:
        """The bucket, with records and a recipe."""
        self.s3.create_bucket(Bucket=BUCKET)
        self.put("train.jsonl", records(8))
        self.put("validation.jsonl", records(2, first=100))
        self.put("recipe/recipe.yaml", yaml.safe_dump({"training_config": {"trainer": {"max_epochs": 1}}}).encode())

    def put(self, key: str, body: bytes) -> str:
        """The object's URI."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    # jobs -------------------------------------------------------------------------------------------------------------

    def job(self, name: str, **changes: Any) -> str:
        """The ARN of a job just created; a change of None leaves the parameter out."""
        made: str = self.bedrock.create_model_customization_job(**job_request(name, **changes))["jobArn"]
        return made

    def ended(self, job: str) -> dict[str, Any]:
        """The job, once it has ended."""

        def look() -> dict[str, Any] | None:
            got: dict[str, Any] = self.bedrock.get_model_customization_job(jobIdentifier=job)
            return got if got["status"] in ENDED else None

        found: dict[str, Any] = until(look)
        return found

    def training_job(self, name: str, **changes: Any) -> str:
        made: str = self.sagemaker.create_training_job(**training_request(name, **changes))["TrainingJobArn"]
        return made

    def trained(self, name: str) -> dict[str, Any]:
        """The SageMaker job, once it has ended."""

        def look() -> dict[str, Any] | None:
            got: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            return got if got["TrainingJobStatus"] in ENDED else None

        found: dict[str, Any] = until(look)
        return found

    # models and deployments -------------------------------------------------------------------------------------------

    def model(self, name: str, weights: str | None = None) -> str:
        """The ARN of an Active model whose answers begin with its name, or ``weights``, trained on the command line."""
        backend = self.live.backend
        made = add_model(backend, name)
        if weights is not None:
            (backend.paths.path / made.folder / "adapter_model.safetensors").write_text(weights)
        return MODEL + made.id

    def deploy(self, name: str, model: str | None = None, **params: Any) -> str:
        """The ARN of a deployment just created, of a model of its own unless one is given."""
        arn = model or self.model(f"{name}-model")
        made: str = self.bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=arn, **params)[
            "customModelDeploymentArn"
        ]
        return made

    def settled(self, deployment: str) -> dict[str, Any]:
        """The deployment, when it is no more Creating or Updating."""

        def look() -> dict[str, Any] | None:
            got: dict[str, Any] = self.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployment)
            busy = got["status"] == "Creating" or got.get("updateDetails", {}).get("updateStatus") == "Updating"
            return None if busy else got

        found: dict[str, Any] = until(look)
        return found

    def active(self, name: str, model: str | None = None) -> str:
        """The ARN of a deployment that answers."""
        arn = self.deploy(name, model)
        assert self.settled(arn)["status"] == "Active"
        return arn


def job_request(name: str, **changes: Any) -> dict[str, Any]:
    """CreateModelCustomizationJob, as AWS's notebook has it."""
    params = {
        "jobName": name,
        "customModelName": f"{name}-model",
        "roleArn": ROLE,
        "baseModelIdentifier": BASE,
        "customizationType": "FINE_TUNING",
        "trainingDataConfig": {"s3Uri": TRAIN},
        "validationDataConfig": {"validators": [{"s3Uri": VALIDATION}]},
        "outputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"},
        "hyperParameters": {"epochCount": "1", "batchSize": "1", "learningRate": "0.00001"},
        **changes,
    }
    return {key: value for key, value in params.items() if value is not None}


def training_request(name: str, **changes: Any) -> dict[str, Any]:
    """CreateTrainingJob, as SageMaker's SDK sends it for a Nova recipe."""
    here = {
        "RoleArn": ROLE,
        "InputDataConfig": [
            channel("train", TRAIN),
            channel("validation", VALIDATION),
            channel("recipe", RECIPE, "S3Prefix"),
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/sagemaker", "CompressionType": "NONE"},
        "ResourceConfig": {"InstanceType": "ml.g5.12xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    return {key: value for key, value in (parameters(name) | here | changes).items() if value is not None}


def user(text: str) -> list[dict[str, Any]]:
    """The messages of one question."""
    return [{"role": "user", "content": [{"text": text}]}]


def nova(text: str, **inference: Any) -> bytes:
    """The body of InvokeModel that asks one question."""
    body: dict[str, Any] = {"schemaVersion": "messages-v1", "messages": user(text)}
    return json.dumps(body | ({"inferenceConfig": inference} if inference else {})).encode()


@contextmanager
def open_shop(folder: Path, **settings: Any) -> Iterator[Shop]:
    """A live server with S3, stocked."""
    with live(folder, aws=True, **settings) as server:
        made = Shop(server)
        made.stock()
        yield made
