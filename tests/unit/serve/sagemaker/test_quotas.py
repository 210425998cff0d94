"""Service Quotas through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from sqlora.platform.service_quotas import MOST_INSTANCES
from sqlora.platform.state import State
from tests.unit.serve.sagemaker.workshop import Workshop, refused

QUOTA = {"ServiceCode": "sagemaker", "QuotaCode": "L-6BC98A55"}


def increase(shop: Workshop, value: float) -> dict[str, Any]:
    made = shop.quotas.request_service_quota_increase(**QUOTA, DesiredValue=value)
    return dict(made["RequestedQuota"])


def test_one_machine_applies_where_a_new_account_has_none(shop: Workshop) -> None:
    quota = shop.quotas.get_service_quota(**QUOTA)["Quota"]
    assert (quota["Value"], quota["QuotaName"]) == (1.0, "ml.g5.48xlarge for training job usage")
    assert quota["QuotaArn"] == "arn:aws:servicequotas:eu-central-1:123456789012:sagemaker/L-6BC98A55"
    assert shop.quotas.get_aws_default_service_quota(**QUOTA)["Quota"]["Value"] == 0.0


def test_an_approved_request_applies_and_is_kept(shop: Workshop) -> None:
    made = increase(shop, 4)
    assert (made["Status"], made["DesiredValue"]) == ("APPROVED", 4.0)
    assert shop.quotas.get_service_quota(**QUOTA)["Quota"]["Value"] == 4.0
    with State(shop.state.path) as again:
        rows = again.rows("SELECT id, desired, status, requester FROM quota_requests")
    assert rows == [{"id": made["Id"], "desired": 4.0, "status": "APPROVED", "requester": "AKIDEXAMPLE"}]
    assert shop.quotas.get_requested_service_quota_change(RequestId=made["Id"])["RequestedQuota"] == made


def test_too_large_a_request_is_denied_and_changes_nothing(shop: Workshop) -> None:
    assert increase(shop, MOST_INSTANCES + 1)["Status"] == "DENIED"
    assert shop.quotas.get_service_quota(**QUOTA)["Quota"]["Value"] == 1.0
    assert increase(shop, MOST_INSTANCES)["Status"] == "APPROVED"


@pytest.mark.parametrize("value", [0, 1, 1.5])
def test_a_request_must_ask_for_more(shop: Workshop, value: float) -> None:
    assert refused(shop.quotas.request_service_quota_increase, **QUOTA, DesiredValue=value)[0] == (
        "IllegalArgumentException"
    )
    assert shop.quotas.list_requested_service_quota_change_history_by_quota(**QUOTA)["RequestedQuotas"] == []


def test_the_history_is_newest_first_and_in_pages(shop: Workshop) -> None:
    ids = [increase(shop, value)["Id"] for value in (2, 3, 1000, 4)]
    first = shop.quotas.list_requested_service_quota_change_history_by_quota(**QUOTA, MaxResults=3)
    rest = shop.quotas.list_requested_service_quota_change_history_by_quota(**QUOTA, NextToken=first["NextToken"])
    assert sorted(each["Id"] for each in first["RequestedQuotas"] + rest["RequestedQuotas"]) == sorted(ids)
    created = [each["Created"] for each in first["RequestedQuotas"]]
    assert created == sorted(created, reverse=True)
    denied = shop.quotas.list_requested_service_quota_change_history(ServiceCode="sagemaker", Status="DENIED")
    assert [each["Id"] for each in denied["RequestedQuotas"]] == [ids[2]]
    assert (
        shop.quotas.list_requested_service_quota_change_history(QuotaRequestedAtLevel="RESOURCE")["RequestedQuotas"]
        == []
    )


def test_the_lists(shop: Workshop) -> None:
    assert [each["QuotaCode"] for each in shop.quotas.list_service_quotas(ServiceCode="sagemaker")["Quotas"]] == [
        "L-6BC98A55"
    ]
    assert shop.quotas.list_service_quotas(ServiceCode="sagemaker", QuotaCode="L-00000000")["Quotas"] == []
    assert shop.quotas.list_service_quotas(ServiceCode="sagemaker", QuotaAppliedAtLevel="RESOURCE")["Quotas"] == []
    defaults = shop.quotas.list_aws_default_service_quotas(ServiceCode="sagemaker")["Quotas"]
    assert [each["Value"] for each in defaults] == [0.0]


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("get_service_quota", {"ServiceCode": "ec2", "QuotaCode": "L-6BC98A55"}, "NoSuchResourceException"),
        ("get_service_quota", {"ServiceCode": "sagemaker", "QuotaCode": "L-1"}, "NoSuchResourceException"),
        ("get_aws_default_service_quota", {"ServiceCode": "sagemaker", "QuotaCode": "L-1"}, "NoSuchResourceException"),
        ("list_service_quotas", {"ServiceCode": "ec2"}, "NoSuchResourceException"),
        ("list_service_quotas", {"ServiceCode": "sagemaker", "NextToken": "bm9uZQ"}, "InvalidPaginationTokenException"),
        ("get_requested_service_quota_change", {"RequestId": "none"}, "NoSuchResourceException"),
        ("list_requested_service_quota_change_history", {"ServiceCode": "ec2"}, "NoSuchResourceException"),
    ],
)
def test_what_is_not_there(shop: Workshop, operation: str, params: dict[str, Any], code: str) -> None:
    assert refused(getattr(shop.quotas, operation), **params)[0] == code
