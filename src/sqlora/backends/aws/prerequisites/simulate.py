"""What a principal is allowed, by IAM's own simulation of its policies. Bucket and key policies are not in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.errors import aws_errors, code
from sqlora.backends.aws.policies import Document, Statement
from sqlora.errors import SqloraError

ANY_ID = "sqlora000000"  # in place of the * of an ARN: the simulation is about one thing at a time


@dataclass
class Verdict:
    """Lines "s3:GetObject on arn:…". ``unsure``: the policies allow it under conditions that were not simulated."""

    allowed: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)


class CannotSimulate(Exception):
    """IAM does not simulate this for us; the message says why."""


def simulate(account: Account, principal: str, document: Document) -> Verdict:
    """Whether the user or role with the ARN ``principal`` is allowed what ``document`` allows; CannotSimulate.

    ServiceError when IAM cannot be reached.
    """
    verdict = Verdict()
    for statement in document["Statement"]:
        for resource in statement["Resource"]:
            for result in _ask(account, principal, statement, resource):
                line = result["EvalActionName"] + ("" if resource == "*" else f" on {resource}")
                if result["EvalDecision"] == "allowed":
                    verdict.allowed.append(line)
                elif result["EvalDecision"] == "implicitDeny" and result.get("MissingContextValues"):
                    verdict.unsure.append(f"{line} (depends on {', '.join(result['MissingContextValues'])})")
                else:
                    verdict.denied.append(line)
    return verdict


def _ask(account: Account, principal: str, statement: Statement, resource: str) -> Iterator[dict[str, Any]]:
    pages = account.client("iam").get_paginator("simulate_principal_policy")
    params: dict[str, Any] = {
        "PolicySourceArn": principal,
        "ActionNames": statement["Action"],
        "ContextEntries": list(_context(account, statement)),
    }
    if resource != "*":
        params["ResourceArns"] = [resource.replace("*", ANY_ID)]
    with aws_errors("simulate permissions"):
        try:
            for page in pages.paginate(**params):
                yield from page["EvaluationResults"]
        except Exception as error:
            if not code(error) or _is_trouble(error):
                raise
            hint = ": iam:SimulatePrincipalPolicy is not allowed" if "Denied" in code(error) else ""
            raise CannotSimulate(f"IAM did not simulate it ({code(error)}{hint})") from error


def _is_trouble(error: Exception) -> bool:
    return getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0) in (429, 500, 503)


def _context(account: Account, statement: Statement) -> Iterator[dict[str, Any]]:
    """What a real call would bring along: our own conditions fulfilled, our account, an encrypted connection."""
    values = {"aws:ResourceAccount": account.id, "aws:PrincipalAccount": account.id}
    for tests in statement.get("Condition", {}).values():
        values |= {key: each if isinstance(each, str) else each[0] for key, each in tests.items()}
    for key, value in values.items():
        yield {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
    yield {"ContextKeyName": "aws:SecureTransport", "ContextKeyType": "boolean", "ContextKeyValues": ["true"]}


def principal_of(account: Account) -> str | None:
    """The ARN to simulate for the credentials at hand; None for the root user, who is allowed everything.

    CannotSimulate for who has no policies of one's own, or a role that we may not look at.
    """
    _, _, service, _, _, name = account.caller.split(":", 5)
    if name == "root":
        return None
    if service == "sts" and name.startswith("assumed-role/"):
        # The ARN of a session leaves out the path of its role, which those of single sign-on have.
        role = name.split("/")[1]
        try:
            with aws_errors(f"look at the role {role}"):
                return str(account.client("iam").get_role(RoleName=role)["Role"]["Arn"])
        except SqloraError as error:
            raise CannotSimulate(error.message) from error
    if service == "sts":
        raise CannotSimulate(f"{account.caller} is neither a user nor a role")
    return account.caller
