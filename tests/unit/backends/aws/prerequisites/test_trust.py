from __future__ import annotations

from typing import Any

import pytest

from sqlora.backends.aws.policies import Scope, trust
from sqlora.backends.aws.prerequisites.trust import judge

SERVICE = "bedrock.amazonaws.com"
JOB = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/sqlora000000"
CONTEXT = {"aws:SourceAccount": "123456789012", "aws:SourceArn": JOB}


def statement(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole", **changes}


def verdict(*statements: dict[str, Any]) -> bool | None:
    return judge({"Statement": list(statements)}, SERVICE, CONTEXT).allowed


def condition(operator: str, key: str, *values: str) -> dict[str, Any]:
    return statement(Condition={operator: {key: list(values)}})


def test_our_own_is_trusted_here_and_nowhere_else() -> None:
    for region, allowed in (("us-east-1", True), ("us-west-2", False)):
        own = trust("customization", Scope("aws", region, "123456789012", "larkspur"))
        assert judge(own, SERVICE, CONTEXT).allowed is allowed
        assert not judge(own, SERVICE, CONTEXT).open
    other = trust("customization", Scope("aws", "us-east-1", "999999999999", "larkspur"))
    assert judge(other, SERVICE, CONTEXT).allowed is False


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, True),
        ({"Principal": {"Service": ["lambda.amazonaws.com", SERVICE]}}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"Service": "sagemaker.amazonaws.com"}}, False),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, False),
        ({"Action": ["sts:TagSession", "sts:AssumeRole"]}, True),
        ({"Action": "sts:*"}, True),
        ({"Action": "STS:assumerole"}, True),
        ({"Action": "sts:TagSession"}, False),
    ],
)
def test_who_and_what(changes: dict[str, Any], allowed: bool) -> None:
    assert verdict(statement(**changes)) is allowed


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        (condition("StringEquals", "aws:SourceAccount", "123456789012"), True),
        (condition("StringEquals", "AWS:sourceaccount", "1", "123456789012"), True),
        (condition("StringEquals", "aws:SourceAccount", "12345678901?"), False),
        (condition("StringLike", "aws:SourceAccount", "12345678901?"), True),
        (condition("ArnEquals", "aws:SourceArn", JOB[: JOB.index("/")] + "/*"), True),
        (condition("ArnLikeIfExists", "aws:SourceArn", "arn:aws:bedrock:*"), True),
        (condition("ArnLike", "aws:SourceArn", "arn:aws:bedrock:us-east-1:123456789012:evaluation-job/*"), False),
        (condition("StringEquals", "aws:PrincipalOrgID", "o-1"), None),
        (condition("IpAddress", "aws:SourceIp", "10.0.0.0/8"), None),
        (statement(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1", "aws:SourceAccount": "1"}}), False),
    ],
)
def test_conditions(given: dict[str, Any], allowed: bool | None) -> None:
    assert verdict(given) is allowed


def test_one_statement_that_allows_is_enough_and_one_that_denies_too() -> None:
    other = condition("StringEquals", "aws:SourceAccount", "1")
    assert verdict(other, statement()) is True
    assert verdict(other, condition("StringEquals", "aws:PrincipalOrgID", "o-1")) is None
    assert verdict(statement(), statement(Effect="Deny")) is False
    assert verdict(statement(), {**other, "Effect": "Deny"}) is True
    assert judge({"Statement": statement()}, SERVICE, CONTEXT).open
    assert verdict() is False
