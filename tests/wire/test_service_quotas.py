"""The one quota that stands before a training job, over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.clients import call, code_of
from tests.wire.shop import Shop, open_shop

QUOTA = {"ServiceCode": "sagemaker", "QuotaCode": "L-6BC98A55"}
NAMED = ("GetServiceQuota", "GetAWSDefaultServiceQuota", "ListRequestedServiceQuotaChangeHistoryByQuota")
LISTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ListServiceQuotas", {"ServiceCode": "sagemaker"}),
    ("ListAWSDefaultServiceQuotas", {"ServiceCode": "sagemaker"}),
    ("ListRequestedServiceQuotaChangeHistoryByQuota", QUOTA),
    ("ListRequestedServiceQuotaChangeHistory", {}),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A server of its own: the quota is one for all."""
    with open_shop(tmp_path_factory.mktemp("quotas")) as made:
        yield made


def test_from_one_to_more(shop: Shop) -> None:
    quotas = shop.quotas
    quota = quotas.get_service_quota(**QUOTA)["Quota"]
    assert (quota["Value"], quota["QuotaName"]) == (1.0, "ml.g5.48xlarge for training job usage")
    assert quotas.get_aws_default_service_quota(**QUOTA)["Quota"]["Value"] == 0.0
    assert quotas.list_service_quotas(ServiceCode="sagemaker")["Quotas"] == [quota]
    assert quotas.list_aws_default_service_quotas(ServiceCode="sagemaker")["Quotas"][0]["Value"] == 0.0
    assert quotas.list_service_quotas(ServiceCode="sagemaker", QuotaCode="L-00000000")["Quotas"] == []
    for desired, status in ((2.0, "APPROVED"), (3.0, "APPROVED"), (1000.0, "DENIED")):
        made = quotas.request_service_quota_increase(**QUOTA, DesiredValue=desired)["RequestedQuota"]
        assert (made["Status"], made["DesiredValue"]) == (status, desired)
        assert quotas.get_requested_service_quota_change(RequestId=made["Id"])["RequestedQuota"] == made
    assert quotas.get_service_quota(**QUOTA)["Quota"]["Value"] == 3.0


def test_what_was_asked_for_in_pages(shop: Shop) -> None:
    shop.quotas.request_service_quota_increase(**QUOTA, DesiredValue=90.0)
    shop.quotas.request_service_quota_increase(**QUOTA, DesiredValue=2000.0)
    for operation, params in (LISTS[2], LISTS[3]):
        pages = shop.quotas.get_paginator(
            "list_requested_service_quota_change_history" + ("_by_quota" if "QuotaCode" in params else "")
        )
        whole = [each for page in pages.paginate(**params) for each in page["RequestedQuotas"]]
        parts = [
            each
            for page in pages.paginate(**params, PaginationConfig={"PageSize": 1})
            for each in page["RequestedQuotas"]
        ]
        assert whole == parts
        assert [each["DesiredValue"] for each in whole][:2] == [2000.0, 90.0]
        denied = call(shop.quotas, operation, **params, Status="DENIED")["RequestedQuotas"]
        assert {each["Status"] for each in denied} == {"DENIED"}


def test_what_is_refused(shop: Shop) -> None:
    for desired in (0.5, 1.0, 101.5):
        code = code_of(shop.quotas, "RequestServiceQuotaIncrease", **QUOTA, DesiredValue=desired)
        assert code == "IllegalArgumentException"
    for operation in (*NAMED, "RequestServiceQuotaIncrease"):
        more = {"DesiredValue": 5.0} if operation.startswith("Request") else {}
        for wrong in ({**QUOTA, "QuotaCode": "L-00000000"}, {**QUOTA, "ServiceCode": "vpc"}):
            assert code_of(shop.quotas, operation, **wrong, **more) == "NoSuchResourceException"
        assert code_of(shop.quotas, operation, **{**QUOTA, "QuotaCode": "../x"}, **more) == "ValidationException"
    assert code_of(shop.quotas, "GetRequestedServiceQuotaChange", RequestId="nobody") == "NoSuchResourceException"
    assert code_of(shop.quotas, "GetRequestedServiceQuotaChange", RequestId="../x") == "ValidationException"
    for operation, params in LISTS:
        code = code_of(shop.quotas, operation, **params, NextToken="x")
        assert code == "InvalidPaginationTokenException"
        assert code_of(shop.quotas, operation, **params, MaxResults=0) == "ValidationException"
        if operation != "ListRequestedServiceQuotaChangeHistoryByQuota":
            code = code_of(shop.quotas, operation, **{**params, "ServiceCode": "vpc"})
            assert code == "NoSuchResourceException"
