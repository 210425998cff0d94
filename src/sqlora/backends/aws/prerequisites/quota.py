"""SageMaker lets the account train on the instances; a new account's quota is commonly 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.prerequisites.result import Result
from sqlora.backends.aws.site import Site
from sqlora.train.nova import MODELS

SERVICE = "sagemaker"
CODES = {"ml.g5.48xlarge": "L-6BC98A55"}  # others are looked up by their name
OPEN = ("PENDING", "CASE_OPENED")  # a request that is not decided
CONSOLE = "https://console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"


@dataclass(frozen=True)
class Quota:
    """How many instances may train at a time: what the account has, what a job takes, and what was asked for."""

    code: str
    value: float
    needed: int
    requested: float | None = None
    status: str = ""

    @property
    def enough(self) -> bool:
        """Whether one job fits; others that run at the same time share the quota."""
        return self.value >= self.needed


def quota(site: Site) -> Result:
    """The account may have as many instances as one job takes."""
    instance = site.settings.instance
    there = look(site)
    if there is None:
        return Result("quota", "unknown", f"there is no quota named for {instance}", f"look at {CONSOLE}")
    if there.enough:
        return Result("quota", "pass", f"{there.value:g} × {instance} for training jobs, {there.needed} needed")
    message = f"{there.value:g} × {instance} for training jobs, {there.needed} needed"
    if there.requested is not None:
        asked = f"{message}; {there.requested:g} were asked for ({there.status})"
        return Result("quota", "fail", asked, f"wait for AWS's answer: {CONSOLE}/{there.code}")
    fix = f"sqlora doctor --backend {site.backend} --fix asks for it ({there.code}); AWS decides in hours to days"
    return Result("quota", "fail", message, fix)


def look(site: Site) -> Quota | None:
    """The quota of the instance of ``[aws]``; None when AWS has none of that name."""
    client, instance = site.account.client("service-quotas"), site.settings.instance
    with aws_errors(f"look at the quota of {instance}"):
        code = CODES.get(instance) or _code(client, instance)
        if code is None:
            return None
        value, asked = _value(client, code), _request(client, code)
    needed = _needed(site)
    return Quota(code, value, needed, *((asked["DesiredValue"], asked["Status"]) if asked else (None, "")))


def request(site: Site, wanted: Quota) -> None:
    """Ask AWS for as many as a job takes, unless that was asked for and is not decided yet."""
    client = site.account.client("service-quotas")
    with aws_errors(f"ask for {wanted.needed} × {site.settings.instance}", f"ask for it at {CONSOLE}/{wanted.code}"):
        if _request(client, wanted.code) is None:
            client.request_service_quota_increase(
                ServiceCode=SERVICE, QuotaCode=wanted.code, DesiredValue=float(wanted.needed)
            )


def _needed(site: Site) -> int:
    model = MODELS.get(site.settings.model)
    return model.instances.get(site.settings.instance, 1) if model else 1


def _code(client: Any, instance: str) -> str | None:
    name = f"{instance} for training job usage"
    for page in client.get_paginator("list_aws_default_service_quotas").paginate(ServiceCode=SERVICE):
        for each in page["Quotas"]:
            if each["QuotaName"] == name:
                return str(each["QuotaCode"])
    return None


def _value(client: Any, code: str) -> float:
    named = {"ServiceCode": SERVICE, "QuotaCode": code}
    try:
        answer = client.get_service_quota(**named)
    except Exception as error:
        if not is_missing(error):
            raise
        answer = client.get_aws_default_service_quota(**named)  # nobody has ever changed it
    return float(answer["Quota"]["Value"])


def _request(client: Any, code: str) -> dict[str, Any] | None:
    pages = client.get_paginator("list_requested_service_quota_change_history_by_quota")
    for page in pages.paginate(ServiceCode=SERVICE, QuotaCode=code):
        for each in page["RequestedQuotas"]:
            if each["Status"] in OPEN:
                found: dict[str, Any] = each
                return found
    return None
