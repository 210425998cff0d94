from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends.aws.needs import purposes_of
from sqlora.backends.aws.policies import Scope, caller, permissions, tls_only, trust
from sqlora.backends.aws.template import Wanted, cloudformation, template, terraform
from sqlora.errors import ConfigError
from sqlora.settings import AwsSection

ACCOUNT, KEY = "123456789012", "arn:aws:kms:us-east-1:123456789012:key/abc"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
KINDS = [
    Wanted("Larkspur Markets", backend, settings, purposes_of(backend, settings), own)
    for backend, settings, own in itertools.product(
        ("bedrock", "sagemaker"), (AwsSection(), AwsSection(bucket="larkspur", kms_key=KEY)), (True, False)
    )
    if own or settings.bucket
]


def scope(wanted: Wanted) -> Scope:
    return Scope("aws", "us-east-1", ACCOUNT, "larkspur", wanted.settings.kms_key)


def names(wanted: Wanted) -> dict[Any, str]:
    return {purpose: ROLE + purpose for purpose in wanted.purposes}


@pytest.mark.parametrize("wanted", KINDS)
def test_cloudformation_is_what_cfn_lint_takes_without_a_word(wanted: Wanted, tmp_path: Path) -> None:
    from cfnlint.api import lint_file

    file = tmp_path / "template.json"
    file.write_text(json.dumps(cloudformation(wanted)))
    assert [str(match) for match in lint_file(file)] == []


def test_cfn_lint_would_say_something(tmp_path: Path) -> None:
    from cfnlint.api import lint_file

    made = cloudformation(KINDS[0])
    made["Resources"]["CustomizationRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Efect"] = "Allow"
    made["Outputs"]["Bucket"]["Value"] = {"Ref": "Buckets"}
    file = tmp_path / "template.json"
    file.write_text(json.dumps(made))
    assert len(lint_file(file)) >= 2


def resolved(value: Any) -> Any:
    """What CloudFormation would make of it, for a stack whose roles are called after their purpose."""
    known = {"AWS::Partition": "aws", "AWS::AccountId": ACCOUNT, "Bucket": "larkspur"}
    roles = {f"{purpose.title()}Role": ROLE + purpose for purpose in ("customization", "import", "training")}
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return known[value["Ref"]]
    if "Fn::GetAtt" in value:
        return roles[value["Fn::GetAtt"][0]]
    if "Fn::Sub" in value:
        return re.sub(r"\$\{([^}]+)\}", lambda found: known[found[1]], value["Fn::Sub"])
    return {key: resolved(each) for key, each in value.items()}


@pytest.mark.parametrize("wanted", KINDS)
def test_cloudformation_has_the_very_policies_that_the_doctor_makes(wanted: Wanted) -> None:
    resources = {name: each["Properties"] for name, each in cloudformation(wanted)["Resources"].items()}
    for purpose in wanted.purposes:
        role = resources[f"{purpose.title()}Role"]
        assert resolved(role["AssumeRolePolicyDocument"]) == trust(purpose, scope(wanted))
        assert resolved(role["Policies"][0]["PolicyDocument"]) == permissions(purpose, scope(wanted))
    allowed = caller(wanted.backend, scope(wanted), names(wanted))
    assert resolved(resources["CallerPolicy"]["PolicyDocument"]) == allowed
    assert ("Bucket" in resources) == wanted.own_bucket
    if wanted.own_bucket:
        assert resolved(resources["BucketPolicy"]["PolicyDocument"]) == tls_only(scope(wanted))


def filled(text: str) -> Any:
    """A policy of a Terraform file, once Terraform has put in the values."""
    known = {
        "data.aws_partition.current.partition": "aws",
        "data.aws_caller_identity.current.account_id": ACCOUNT,
        "aws_s3_bucket.sqlora.bucket": "larkspur",
        **{f"aws_iam_role.{purpose}.arn": ROLE + purpose for purpose in ("customization", "import", "training")},
    }
    return json.loads(re.sub(r"\$\{([^}]+)\}", lambda found: known[found[1]], text))


@pytest.mark.parametrize("wanted", KINDS)
def test_terraform_has_the_very_policies_that_the_doctor_makes(wanted: Wanted) -> None:
    resource = terraform(wanted)["resource"]
    for purpose in wanted.purposes:
        assert filled(resource["aws_iam_role"][purpose]["assume_role_policy"]) == trust(purpose, scope(wanted))
        assert filled(resource["aws_iam_role_policy"][purpose]["policy"]) == permissions(purpose, scope(wanted))
    allowed = caller(wanted.backend, scope(wanted), names(wanted))
    assert filled(resource["aws_iam_policy"]["caller"]["policy"]) == allowed
    assert ("aws_s3_bucket" in resource) == wanted.own_bucket
    if wanted.own_bucket:
        assert filled(resource["aws_s3_bucket_policy"]["sqlora"]["policy"]) == tls_only(scope(wanted))


@pytest.mark.parametrize("wanted", KINDS)
def test_terraform_refers_to_nothing_that_is_not_there(wanted: Wanted) -> None:
    made = terraform(wanted)
    there = {f"{kind}.{name}" for kind, each in made["resource"].items() for name in each}
    there |= {f"data.{kind}.{name}" for kind, each in made["data"].items() for name in each}
    references = re.findall(r"\$\{([^}]+)\.\w+\}", json.dumps(made))
    assert references
    assert set(references) <= there


def test_the_outputs_are_the_keys_of_the_project_file() -> None:
    wanted = next(each for each in KINDS if each.backend == "sagemaker")
    assert set(terraform(wanted)["output"]) == {"bucket", "role_arn", "import_role_arn"}
    assert {each["Description"] for each in cloudformation(wanted)["Outputs"].values()} == {
        "[aws] bucket", "[aws] role_arn", "[aws] import_role_arn"
    }  # fmt: skip


def test_an_open_model_is_not_imported() -> None:
    settings = AwsSection(model="smollm2-135m")
    wanted = Wanted("shop", "sagemaker", settings, purposes_of("sagemaker", settings))
    assert set(terraform(wanted)["resource"]["aws_iam_role"]) == {"training"}


def test_a_bucket_that_is_there_has_a_name() -> None:
    with pytest.raises(ConfigError, match="bucket is not set"):
        template("terraform", Wanted("shop", "bedrock", AwsSection(), ("customization",), False))
