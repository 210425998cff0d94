from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sqlora.backends.aws.policies import SERVICES, Document, Purpose, Scope, caller, permissions, tls_only, trust

KEY = "arn:aws:kms:us-east-1:123456789012:key/abc"
SCOPE = Scope("aws", "us-east-1", "123456789012", "larkspur")
PURPOSES: tuple[Purpose, ...] = ("customization", "import", "training")
# What has no resource of its own in IAM, by the Service Authorization Reference.
EVERYWHERE = {
    "cloudwatch:PutMetricData", "ecr:GetAuthorizationToken", "bedrock:GetFoundationModel",
    "bedrock:GetFoundationModelAvailability", "servicequotas:GetServiceQuota",
    "servicequotas:GetAWSDefaultServiceQuota", "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListRequestedServiceQuotaChangeHistoryByQuota",
}  # fmt: skip


def documents(scope: Scope) -> dict[str, Document]:
    role = scope.arn("iam::{account}:role/sqlora")
    return {
        **{f"{purpose} permissions": permissions(purpose, scope) for purpose in PURPOSES},
        "bedrock caller": caller("bedrock", scope, {"customization": role}),
        "sagemaker caller": caller("sagemaker", scope, {"training": role, "import": role}),
    }


@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_the_service_and_only_for_this_account_and_region_may_assume_a_role(purpose: Purpose) -> None:
    (statement,) = trust(purpose, replace(SCOPE, region="eu-west-2"))["Statement"]
    assert statement["Principal"] == {"Service": SERVICES[purpose]}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    source = statement["Condition"]["ArnLike"]["aws:SourceArn"]
    assert source.split(":")[3:5] == ["eu-west-2", "123456789012"]


@pytest.mark.parametrize("name", documents(SCOPE))
def test_no_action_is_a_wildcard_and_no_resource_is_everything_that_could_be_named(name: str) -> None:
    for scope in (SCOPE, replace(SCOPE, kms_key=KEY)):
        statements = documents(scope)[name]["Statement"]
        assert len({statement["Sid"] for statement in statements}) == len(statements)
        for statement in statements:
            assert not any("*" in action for action in statement["Action"])
            if "*" in statement["Resource"]:
                assert set(statement["Action"]) <= EVERYWHERE
            else:
                assert not set(statement["Action"]) & EVERYWHERE


@pytest.mark.parametrize("purpose", ["customization", "training"])
def test_of_a_bucket_a_role_gets_what_is_sqloras_and_only_while_the_account_has_it(purpose: Purpose) -> None:
    for statement in permissions(purpose, SCOPE)["Statement"]:
        if any("larkspur" in resource for resource in statement["Resource"]):
            assert statement["Condition"] == {"StringEquals": {"aws:ResourceAccount": "123456789012"}}
            objects = [each for each in statement["Resource"] if each != "arn:aws:s3:::larkspur"]
            assert all(each == "arn:aws:s3:::larkspur/sqlora/*" for each in objects)


@pytest.mark.parametrize("name", documents(SCOPE))
def test_a_key_is_used_through_the_services_alone(name: str) -> None:
    assert "kms:" not in json.dumps(documents(SCOPE)[name])
    of_key = [each for each in documents(replace(SCOPE, kms_key=KEY))[name]["Statement"] if KEY in each["Resource"]]
    assert of_key
    assert all("kms:ViaService" in each["Condition"]["StringEquals"] for each in of_key)


@pytest.mark.parametrize("name", documents(SCOPE))
def test_a_policy_fits_where_it_goes(name: str) -> None:
    """IAM counts without white space: 10,240 for a role's inline policies, 6,144 for a managed one."""
    size = len(json.dumps(documents(replace(SCOPE, kms_key=KEY))[name], separators=(",", ":")))
    assert size < 6_144


def test_other_partitions_have_arns_of_their_own() -> None:
    china = Scope("aws-cn", "cn-north-1", "123456789012", "larkspur")
    assert tls_only(china)["Statement"][0]["Resource"][0] == "arn:aws-cn:s3:::larkspur"
    assert "arn:aws:" not in json.dumps(list(documents(china).values()))


@pytest.mark.parametrize(
    ("image", "repositories"),
    [
        (
            "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/sqlora:1",
            ["arn:aws:ecr:us-west-2:123456789012:repository/team/sqlora"],
        ),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/sqlora@sha256:0",
            ["arn:aws:ecr:us-east-1:123456789012:repository/sqlora"],
        ),
        ("docker.io/library/python:3.12", []),
        (None, []),
    ],
)
def test_an_image_of_ones_own_may_be_fetched(image: str | None, repositories: list[str]) -> None:
    statements = permissions("training", replace(SCOPE, image=image))["Statement"]
    (fetch,) = [each for each in statements if each["Sid"] == "FetchImages"]
    assert fetch["Resource"][2:] == repositories
    assert fetch["Resource"][1] == "arn:aws:ecr:us-east-1:708977205387:repository/nova-fine-tune-repo"
