"""What is in the account, and IAM's simulation, which moto has not: answered where botocore would send the request."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient

from sqlora.backends.aws.site import Site
from sqlora.platform.names import slug

Allows = Callable[[str, str], str]


def identity(site: Site, arn: str) -> None:
    """Let the site's credentials be those of another principal."""
    site.account.__dict__["_identity"] = {"Account": "123456789012", "Arn": arn}


def answer(site: Site, service: str, operation: str, respond: Callable[[dict[str, Any]], Any]) -> None:
    """Let ``respond`` answer the operation instead of the server; an error's code, or the members of the output."""

    def before_call(params: dict[str, Any], **other: Any) -> tuple[AWSResponse, dict[str, Any]]:
        said = respond(params["body"])
        status = 200
        if isinstance(said, str):
            status = 403 if "Denied" in said else 404
            said = {"Error": {"Code": said, "Message": "no"}}
        said["ResponseMetadata"] = {"HTTPStatusCode": status, "RetryAttempts": 0}
        return AWSResponse("http://nowhere", status, {}, None), said

    site.account.client(service).meta.events.register_first(f"before-call.{service}.{operation}", before_call)


def simulation(site: Site, allows: Allows) -> list[tuple[str, str, str]]:
    """Let IAM's simulation answer by ``allows`` (action, resource); the questions asked: principal, action, resource."""
    asked = []

    def respond(body: dict[str, Any]) -> dict[str, Any]:
        actions = [value for key, value in body.items() if key.startswith("ActionNames.")]
        resource = body.get("ResourceArns.member.1", "*")
        asked.extend((body["PolicySourceArn"], action, resource) for action in actions)
        results = []
        for action in actions:
            decision, _, missing = allows(action, resource).partition(" ")
            results.append(
                {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": decision,
                    "MissingContextValues": [missing] if missing else [],
                }
            )
        return {"EvaluationResults": results, "IsTruncated": False}

    answer(site, "iam", "SimulatePrincipalPolicy", respond)
    return asked


def all_but(*patterns: str) -> Allows:
    """Everything is allowed but actions like these."""
    return lambda action, resource: (
        "implicitDeny" if any(fnmatch.fnmatch(action, pattern) for pattern in patterns) else "allowed"
    )


def roles(site: Site) -> list[str]:
    """The names of the account's roles that bear the project's name."""
    iam = site.account.client("iam")
    found = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    return [name for name in found if name.startswith(f"sqlora-{slug(site.project.name)}-")]


def buckets(site: Site) -> list[str]:
    """The names of the account's buckets that bear the project's name."""
    found = [each["Name"] for each in site.account.client("s3").list_buckets()["Buckets"]]
    return [name for name in found if name.startswith(f"sqlora-{slug(site.project.name)}-")]


class Died(BaseException):
    """The process was killed here."""


@contextmanager
def dying(after: int) -> Iterator[list[str]]:
    """Die at the ``after``-th moment: before each call that changes something, and after it, the answer unheard."""
    moments: list[str] = []
    real = BaseClient._make_api_call

    def moment(what: str) -> None:
        moments.append(what)
        if len(moments) > after:
            raise Died(what)

    def call(self: Any, operation: str, params: dict[str, Any]) -> Any:
        if operation.startswith(("Get", "Head", "List")):
            return real(self, operation, params)
        moment(f"before {operation}")
        try:
            return real(self, operation, params)
        finally:
            moment(f"after {operation}")

    BaseClient._make_api_call = call
    try:
        yield moments
    finally:
        BaseClient._make_api_call = real
