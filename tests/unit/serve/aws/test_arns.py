"""ARNs: the forms that the service models' patterns allow, and what is found in them."""

from __future__ import annotations

import pytest

from sqlora.serve.aws.arns import Arns
from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.model import service
from sqlora.serve.aws.pattern import matches

ARNS = Arns("us-west-2")
ID = "abcdefgh1234"


@pytest.mark.parametrize(
    ("arn", "shape"),
    [
        (ARNS.job(ID), "ModelCustomizationJobArn"),
        (ARNS.job(ID), "ModelCustomizationJobIdentifier"),
        (ARNS.model(ID), "ModelArn"),
        (ARNS.model(ID), "CustomModelArn"),
        (ARNS.model(ID, imported=True), "CustomModelArn"),
        (ARNS.model(ID, imported=True), "ModelIdentifier"),
        (ARNS.deployment(ID), "CustomModelDeploymentArn"),
        (ARNS.deployment(ID), "CustomModelDeploymentIdentifier"),
        (ARNS.job(ID), "TaggableResourcesArn"),
        (ARNS.model(ID), "TaggableResourcesArn"),
        (ARNS.model(ID, imported=True), "TaggableResourcesArn"),
        (ARNS.deployment(ID), "TaggableResourcesArn"),
        (ARNS.foundation_model("amazon.nova-micro-v1:0"), "FoundationModelArn"),
    ],
)
def test_the_models_patterns_allow_them(arn: str, shape: str) -> None:
    assert matches(service("bedrock").model.shape_for(shape).metadata["pattern"], arn)


def test_a_deployments_arn_is_a_model_id_of_the_runtime() -> None:
    pattern = service("bedrock-runtime").model.shape_for("ConversationalModelId").metadata["pattern"]
    assert matches(pattern, ARNS.deployment(ID))


def test_a_training_jobs_arn() -> None:
    pattern = service("sagemaker").model.shape_for("TrainingJobArn").metadata["pattern"]
    assert matches(pattern, ARNS.training_job("larkql-1"))


@pytest.mark.parametrize("arns", [ARNS, Arns("eu-central-1")])
def test_an_identifier_is_an_id_a_name_or_an_arn_of_any_region(arns: Arns) -> None:
    assert ARNS.job_key(arns.job(ID)) == ID
    assert ARNS.model_key(arns.model(ID)) == ID
    assert ARNS.model_key(arns.model(ID, imported=True)) == ID
    assert ARNS.deployment_key(arns.deployment(ID)) == ID
    assert ARNS.deployment_key("larkql") == "larkql"
    assert ARNS.deployment_key(ID) == ID


def test_what_a_tag_hangs_on() -> None:
    assert ARNS.resource(ARNS.job(ID)) == ("job", ID)
    assert ARNS.resource(ARNS.model(ID, imported=True)) == ("model", ID)
    assert ARNS.resource(ARNS.deployment(ID)) == ("deployment", ID)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:bedrock",
        "arn:aws:s3:::bucket",
        "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/../../etc",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/ABCDEFGH1234",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model/abcdefgh1234",
        "arn:aws:sagemaker:us-east-1:123456789012:custom-model-deployment/abcdefgh1234",
    ],
)
def test_an_arn_of_something_else_is_invalid(arn: str) -> None:
    with pytest.raises(AwsError) as caught:
        ARNS.deployment_key(arn)
    assert caught.value.code == "ValidationException"


def test_one_kind_is_not_another() -> None:
    with pytest.raises(AwsError, match="is not the ARN of a custom model deployment"):
        ARNS.deployment_key(ARNS.model(ID))


def test_another_accounts_resources_are_not_found() -> None:
    with pytest.raises(AwsError) as caught:
        ARNS.model_key(Arns("us-east-1", "210987654321").model(ID))
    assert caught.value.code == "ResourceNotFoundException"
