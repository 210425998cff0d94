"""Each role is there, may be assumed by its service for our jobs, and may do what they take."""

from __future__ import annotations

from typing import Any

from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.needs import scope_of
from sqlora.backends.aws.policies import SERVICES, Purpose, Scope, permissions, trust
from sqlora.backends.aws.prerequisites.account import judged, template
from sqlora.backends.aws.prerequisites.result import Result
from sqlora.backends.aws.prerequisites.simulate import ANY_ID, CannotSimulate, simulate
from sqlora.backends.aws.prerequisites.trust import judge
from sqlora.backends.aws.roles import POLICY, WORK, given_role, own_role, setting
from sqlora.backends.aws.site import Site


def role(site: Site, purpose: Purpose, bucket: str | None) -> list[Result]:
    """Two results: that it exists and is trusting, and what it may do; one where there is none."""
    name = f"{purpose} role"
    given, row = given_role(site.settings, purpose), own_role(site.account, site.state, purpose)
    arn = given or (row.arn if row else None)
    if arn is None:
        why = f"{row.name} is only half made" if row else f"there is none for {WORK[purpose]}"
        return [Result(name, "fail", why, _fix(site))]
    there = describe(site, arn)
    if there is None:
        fix = f"correct [aws] {setting(purpose)} in sqlora.toml" if given else _fix(site)
        return [Result(name, "fail", f"there is no role {arn}", fix)]
    if there["Arn"] != arn:
        return [Result(name, "fail", f"there is no role {arn}, but {there['Arn']}", "write that one in sqlora.toml")]
    scope = scope_of(site, bucket or "a-bucket-to-come")
    return [_trusting(site, purpose, there, scope, given), _allowed(site, purpose, there, scope, given)]


def describe(site: Site, arn: str) -> dict[str, Any] | None:
    """IAM's description of a role; None when there is no such role."""
    with aws_errors(f"look at the role {arn}"):
        try:
            found: dict[str, Any] = site.account.client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
        except Exception as error:
            if is_missing(error):
                return None
            raise
    return found


def policy_of(site: Site, role_name: str) -> dict[str, Any] | None:
    """The inline policy that we give our roles, as IAM has it; None when it has none."""
    with aws_errors(f"look at the policy of {role_name}"):
        try:
            answer = site.account.client("iam").get_role_policy(RoleName=role_name, PolicyName=POLICY)
        except Exception as error:
            if is_missing(error):
                return None
            raise
    found: dict[str, Any] = answer["PolicyDocument"]
    return found


def _trusting(site: Site, purpose: Purpose, there: dict[str, Any], scope: Scope, given: str | None) -> Result:
    name, service = f"{purpose} role", SERVICES[purpose]
    condition = trust(purpose, scope)["Statement"][0]["Condition"]
    context = {
        "aws:SourceAccount": scope.account,
        "aws:SourceArn": condition["ArnLike"]["aws:SourceArn"].replace("*", ANY_ID),
    }
    found = judge(there["AssumeRolePolicyDocument"], service, context)
    shown, fix = there["RoleName"], f"its trust policy: {template(site)}" if given else _fix(site)
    if found.allowed is None:
        return Result(name, "unknown", f"{shown}: {found.why}", f"compare with {template(site)}")
    if not found.allowed:
        return Result(name, "fail", f"{shown}: {found.why}", fix)
    note = ", for the jobs of any account: a condition on aws:SourceAccount would be safer" if found.open else ""
    return Result(name, "pass", f"{shown}: {found.why}{note}")


def _allowed(site: Site, purpose: Purpose, there: dict[str, Any], scope: Scope, given: str | None) -> Result:
    name, document = f"{purpose} rights", permissions(purpose, scope)
    how = template(site) if given else f"{_fix(site)} gives it them: {template(site)}"
    try:
        return judged(name, simulate(site.account, there["Arn"], document), there["RoleName"], how)
    except CannotSimulate as error:
        why = str(error)
    if given is None:
        if policy_of(site, there["RoleName"]) == document:
            return Result(name, "pass", f"{there['RoleName']} has the policy that sqlora wrote ({why})")
        return Result(name, "fail", f"the policy of {there['RoleName']} is not what this project takes", _fix(site))
    return Result(name, "unknown", f"{there['RoleName']}: {why}", f"compare with {template(site)}")


def _fix(site: Site) -> str:
    return f"sqlora doctor --backend {site.backend} --fix"
