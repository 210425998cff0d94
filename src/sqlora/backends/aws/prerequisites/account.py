"""Who we are, where, whether the model is there for us, and what we are allowed."""

from __future__ import annotations

from typing import Any

from sqlora.backends.aws.errors import aws_errors, code
from sqlora.backends.aws.needs import is_nova, purposes, scope_of
from sqlora.backends.aws.policies import Document, Purpose, caller
from sqlora.backends.aws.prerequisites.result import Result
from sqlora.backends.aws.prerequisites.simulate import CannotSimulate, Verdict, principal_of, simulate
from sqlora.backends.aws.roles import given_role, own_role
from sqlora.backends.aws.site import Site
from sqlora.train.nova import image

NOVA_REGIONS = ("us-east-1",)  # where AWS offers to customise Nova, as of 2026-11
SHOWN = 5


def credentials(site: Site) -> Result:
    """AWS knows us."""
    return Result("credentials", "pass", f"{site.account.caller} in account {site.account.id}")


def region(site: Site) -> Result:
    """Nova is customised there; ConfigError where SageMaker has no image of it."""
    here = site.account.region
    if site.backend == "sagemaker" and is_nova(site):
        image(here)
    if not is_nova(site) or here in NOVA_REGIONS:
        return Result("region", "pass", here)
    known = ", ".join(NOVA_REGIONS)
    return Result(
        "region", "unknown", f"{here}: Nova was customised in {known} only in 2026-11",
        f'region = "{NOVA_REGIONS[0]}" in [aws] of sqlora.toml',
    )  # fmt: skip


def model_access(site: Site) -> Result:
    """Bedrock customises the model here, and this account may use it."""
    name, id = "model access", site.settings.model
    if not is_nova(site):
        return Result(name, "pass", f"{id} is an open model: it needs no access to Bedrock's")
    bedrock = site.account.client("bedrock")
    with aws_errors(f"find the model {id} in {site.account.region}", "correct [aws] model or region in sqlora.toml"):
        details = bedrock.get_foundation_model(modelIdentifier=id)["modelDetails"]
    if "FINE_TUNING" not in details.get("customizationsSupported", []):
        return Result(name, "fail", f"{id} cannot be fine-tuned in {site.account.region}", "another [aws] model")
    return _availability(bedrock, name, id)


def _availability(bedrock: Any, name: str, id: str) -> Result:
    served = ":".join(id.split(":")[:2])  # amazon.nova-micro-v1:0; the third part is the context to train with
    try:
        with aws_errors(f"ask whether the account may use {served}"):
            found = bedrock.get_foundation_model_availability(modelId=served)
    except Exception as error:
        why = code(error.__cause__ or error) or error
        return Result(name, "unknown", f"{id} can be fine-tuned here; whether by this account was not answered ({why})")
    wanted = {"authorizationStatus": "AUTHORIZED", "entitlementAvailability": "AVAILABLE",
              "regionAvailability": "AVAILABLE"}  # fmt: skip
    wrong = [f"{key} {found.get(key)}" for key, value in wanted.items() if found.get(key) != value]
    if wrong:
        fix = "ask for access: Bedrock's console, Model access; an organization's policy may forbid it"
        return Result(name, "fail", f"{id}: {', '.join(wrong)}", fix)
    return Result(name, "pass", f"{id} can be fine-tuned here, by this account")


def permissions(site: Site, bucket: str | None) -> list[Result]:
    """We are allowed every call of sqlora's, and to pass each role on."""
    document = caller(site.backend, scope_of(site, bucket or "a-bucket-to-come"), _roles(site))
    passing = [each for each in document["Statement"] if each["Action"] == ["iam:PassRole"]]
    calls = [each for each in document["Statement"] if each not in passing]
    found = [_judged(site, "permissions", {**document, "Statement": calls})]
    if passing:
        found.append(_judged(site, "pass role", {**document, "Statement": passing}))
    return found


def _roles(site: Site) -> dict[Purpose, str]:
    found = {}
    for purpose in purposes(site):
        row = own_role(site.account, site.state, purpose)
        if arn := given_role(site.settings, purpose) or (row.arn if row else None):
            found[purpose] = arn
    return found


def _judged(site: Site, name: str, document: Document) -> Result:
    try:
        principal = principal_of(site.account)
        if principal is None:
            return Result(name, "pass", "the root user is allowed everything; a user of fewer rights would be safer")
        return judged(name, simulate(site.account, principal, document), f"you ({principal})", template(site))
    except CannotSimulate as error:
        return Result(name, "unknown", str(error), f"compare with {template(site)}, whose policies say what is needed")


def judged(name: str, verdict: Verdict, who: str, how: str) -> Result:
    """A simulation's result, for ``who``; ``how`` is where the whole policy can be read."""
    if verdict.denied:
        return Result(name, "fail", f"{who} may not {_few(verdict.denied)}", f"allow it; {how} has the whole policy")
    if verdict.unsure:
        text = f"IAM could not say whether {who} may {_few(verdict.unsure)}"
        return Result(name, "unknown", text, f"compare with {how}")
    return Result(name, "pass", f"{who}: {len(verdict.allowed)} permissions, by IAM's simulation")


def template(site: Site) -> str:
    """The command that prints all policies."""
    return f"`sqlora aws template --backend {site.backend}`"


def _few(lines: list[str]) -> str:
    more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return ", ".join(lines[:SHOWN]) + more
