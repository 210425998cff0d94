"""In an account whose bucket and roles ``--fix`` made, to an answer and back, with a look at every call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.aws.needs import scope_of
from sqlora.backends.aws.policies import caller
from sqlora.backends.aws.prerequisites import plan
from sqlora.backends.aws.roles import PURPOSES, role_arn
from sqlora.backends.base import TrainingRequest
from sqlora.backends.bedrock import BedrockBackend
from sqlora.backends.sagemaker import SageMakerBackend
from sqlora.engines.base import Sampling
from sqlora.platform.state import State
from sqlora.project import load_project
from sqlora.prompting import record
from sqlora.train.recipe import load_recipe
from tests.conformance.cloud import QUICK
from tests.conformance.workplace import SYSTEM, add_dataset
from tests.unit.backends.aws.prerequisites.account import buckets, roles
from tests.unit.backends.aws.prerequisites.conftest import write

# What an operation is called in IAM, where that is not its own name. Source: Service Authorization Reference.
ACTIONS = {
    "bedrock:ConverseStream": "bedrock:InvokeModelWithResponseStream",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "s3:DeleteObjects": "s3:DeleteObject",
}
ALWAYS = {"sts:GetCallerIdentity"}  # needs no permission
# Of what the caller is given, this takes a tag, a key, a large file or a look at the account to be seen.
UNSEEN = {
    "bedrock:TagResource", "bedrock:ListTagsForResource", "bedrock:InvokeModel", "s3:PutObjectTagging",
    "s3:AbortMultipartUpload", "sagemaker:AddTags", "sagemaker:StopTrainingJob", "bedrock:StopModelCustomizationJob",
    "iam:PassRole", "bedrock:GetFoundationModel", "bedrock:GetFoundationModelAvailability",
    "servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:ListAWSDefaultServiceQuotas", "servicequotas:ListRequestedServiceQuotaChangeHistoryByQuota",
}  # fmt: skip
OF_THE_FIX = ("iam:", "s3:DeleteBucket", "s3:GetBucketTagging", "s3:HeadBucket")  # destroying what --fix made


@pytest.fixture
def seen() -> set[str]:
    return set()


@pytest.fixture
def watched(seen: set[str]) -> Any:
    """A session whose clients note what they call."""

    def note(model: Any, **other: Any) -> None:
        seen.add(f"{model.service_model.signing_name}:{model.name}")

    session = boto3.Session("AKIDEXAMPLE", "wJalrXUtnFEMI-example", region_name="us-east-1")
    session.events.register("before-call", note)
    return session


@pytest.fixture(params=[BedrockBackend, SageMakerBackend], ids=["bedrock", "sagemaker"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, url: str, watched: Any) -> Iterator[AwsBackend]:
    make = request.param
    project = load_project(write(tmp_path / "project", url, make.name), environ={})
    with State(project.paths.database) as state:
        account = Account(project.aws, watched)
        yield make(project, state, account, polling=QUICK)
        account.close()


def test_there_and_back(backend: AwsBackend, seen: set[str]) -> None:
    site = backend.site
    for step in plan(site):
        step.do()
    given = {purpose: role_arn(site.account, site.state, purpose) for purpose in PURPOSES[backend.name]}
    document = caller(backend.name, scope_of(site, backend.storage.bucket()), given)
    seen.clear()

    dataset = add_dataset(backend.project.folder, 16, held_out=2)
    job = backend.wait(backend.submit_training(TrainingRequest(dataset.id, load_recipe("nova", {"epochs": 1}))).id)
    assert (job.status, job.failure_message) == ("Completed", None)
    deployment = backend.create_deployment(job.model_name)
    for name in (deployment.name, "base"):
        assert list(backend.converse(name, record(SYSTEM, "question 3?"), Sampling(max_tokens=64)))
    for resource in backend.resources():
        backend.remove(resource)
    called = {ACTIONS.get(call, call) for call in seen if not call.startswith(OF_THE_FIX)} - ALWAYS
    assert (backend.resources(), buckets(site), roles(site)) == ([], [], [])

    allowed = {action for statement in document["Statement"] for action in statement["Action"]}
    assert called - allowed == set()
    assert allowed - called - UNSEEN == set()


def test_the_actions_are_operations_of_the_services(backend: AwsBackend) -> None:
    """A name that is misspelt would allow nothing."""
    named = {"iam": "iam", "s3": "s3", "sagemaker": "sagemaker", "logs": "logs", "servicequotas": "service-quotas"}
    renamed = {"s3:ListBucket", "s3:ListBucketMultipartUploads", "bedrock:InvokeModelWithResponseStream",
               "bedrock:InvokeModel", "iam:PassRole"}  # fmt: skip
    role = "arn:aws:iam::123456789012:role/sqlora"
    document = caller(backend.name, scope_of(backend.site, "larkspur"), {each: role for each in PURPOSES[backend.name]})
    for statement in document["Statement"]:
        for action in set(statement["Action"]) - renamed:
            service, _, operation = action.partition(":")
            client = backend.account.client(named.get(service, service))
            assert hasattr(client, xform_name(operation)), action
