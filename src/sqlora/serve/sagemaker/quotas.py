"""Service Quotas for the one quota that stands before a training job, `sqlora.platform.service_quotas`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlora.errors import ConfigError, NotFoundError
from sqlora.platform.service_quotas import QUOTAS, InstanceQuota, QuotaRequest, ServiceQuotas
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.aws.paging import page
from sqlora.serve.place import Place

SERVICE, SERVICE_NAME = "sagemaker", "Amazon SageMaker"
MOST_RESULTS = 100


class QuotaOperations:
    """The operations of Service Quotas. A quota here has no Region; its ARN is given in the caller's."""

    def __init__(self, place: Place) -> None:
        self._quotas = ServiceQuotas(place.backend.state)

    def get(self, call: Call) -> dict[str, Any]:
        """GetServiceQuota: what applies."""
        quota = self._named(call)
        return {"Quota": _quota(call, quota, self._quotas.value(quota.code))}

    def get_default(self, call: Call) -> dict[str, Any]:
        """GetAWSDefaultServiceQuota: what a new account has at AWS."""
        quota = self._named(call)
        return {"Quota": _quota(call, quota, quota.default)}

    def list(self, call: Call) -> dict[str, Any]:
        """ListServiceQuotas."""
        return self._listed(call, [_quota(call, each, self._quotas.value(each.code)) for each in QUOTAS.values()])

    def list_defaults(self, call: Call) -> dict[str, Any]:
        """ListAWSDefaultServiceQuotas."""
        return self._listed(call, [_quota(call, each, each.default) for each in QUOTAS.values()])

    def request(self, call: Call) -> dict[str, Any]:
        """RequestServiceQuotaIncrease; decided at once."""
        quota = self._named(call)
        try:
            made = self._quotas.request(quota.code, call.params["DesiredValue"], call.identity.caller)
        except ConfigError as error:
            raise AwsError("IllegalArgumentException", error.message) from None
        return {"RequestedQuota": _requested(call, made)}

    def get_request(self, call: Call) -> dict[str, Any]:
        """GetRequestedServiceQuotaChange."""
        try:
            return {"RequestedQuota": _requested(call, self._quotas.get(call.params["RequestId"]))}
        except NotFoundError as error:
            raise AwsError("NoSuchResourceException", error.message) from None

    def history_by_quota(self, call: Call) -> dict[str, Any]:
        """ListRequestedServiceQuotaChangeHistoryByQuota, newest first."""
        return self._history(call, self._named(call).code)

    def history(self, call: Call) -> dict[str, Any]:
        """ListRequestedServiceQuotaChangeHistory, newest first."""
        if "ServiceCode" in call.params:
            self._require_service(call)
        return self._history(call, None)

    def _history(self, call: Call, code: str | None) -> dict[str, Any]:
        account_level = call.params.get("QuotaRequestedAtLevel") != "RESOURCE"
        found = self._quotas.requests(code, call.params.get("Status")) if account_level else []
        given, token = _page(call, found, lambda request: (request.created_at, request.id), descending=True)
        return {"RequestedQuotas": [_requested(call, request) for request in given], "NextToken": token}

    def _listed(self, call: Call, quotas: Sequence[dict[str, Any]]) -> dict[str, Any]:
        self._require_service(call)
        wanted = [quota for quota in quotas if call.params.get("QuotaCode", quota["QuotaCode"]) == quota["QuotaCode"]]
        if call.params.get("QuotaAppliedAtLevel") == "RESOURCE":
            wanted = []
        given, token = _page(call, wanted, lambda quota: (quota["QuotaCode"],))
        return {"Quotas": given, "NextToken": token}

    def _named(self, call: Call) -> InstanceQuota:
        self._require_service(call)
        try:
            return self._quotas.quota(call.params["QuotaCode"])
        except NotFoundError as error:
            raise AwsError("NoSuchResourceException", error.message) from None

    def _require_service(self, call: Call) -> None:
        if call.params["ServiceCode"] != SERVICE:
            raise AwsError("NoSuchResourceException", f"There are only quotas of the service {SERVICE} here.")


def _page(call: Call, items: Any, key: Any, descending: bool = False) -> Any:
    most, token = call.params.get("MaxResults", MOST_RESULTS), call.params.get("NextToken")
    return page(items, key, most, token, descending=descending, bad_token="InvalidPaginationTokenException")


def _identified(call: Call, quota: InstanceQuota) -> dict[str, Any]:
    return {
        "ServiceCode": SERVICE,
        "ServiceName": SERVICE_NAME,
        "QuotaArn": f"arn:aws:servicequotas:{call.region}:{call.account}:{SERVICE}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Unit": "None",
        "GlobalQuota": False,
    }


def _quota(call: Call, quota: InstanceQuota, value: float) -> dict[str, Any]:
    return {**_identified(call, quota), "Value": value, "Adjustable": True, "QuotaAppliedAtLevel": "ACCOUNT"}


def _requested(call: Call, request: QuotaRequest) -> dict[str, Any]:
    return {
        **_identified(call, QUOTAS[request.code]),
        "Id": request.id,
        "DesiredValue": request.desired,
        "Status": request.status,
        "Created": request.created_at,
        "LastUpdated": request.created_at,
        "Requester": json.dumps({"accountId": call.account, "callerArn": request.requester}),
        "QuotaRequestedAtLevel": "ACCOUNT",
    }
