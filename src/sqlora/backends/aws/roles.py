"""The roles that Bedrock and SageMaker assume: found, made and removed.

A role is one that ``[aws]`` names, which is the user's and is never changed, or one of ours, which the ledger has:
a row of kind ``role`` and one of kind ``policy`` for what it may do. Both calls that make them can be repeated, so a
half-made role is finished by making it again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlora.backends.aws.errors import aws_errors, code, is_missing
from sqlora.backends.aws.policies import Purpose, Scope, permissions, trust
from sqlora.errors import ConfigError, ConflictError
from sqlora.platform.ledger import Resource
from sqlora.platform.names import new_id, slug

if TYPE_CHECKING:
    from sqlora.backends.aws.account import Account
    from sqlora.backends.aws.site import Site
    from sqlora.platform.state import State
    from sqlora.settings import AwsSection

PURPOSES: dict[str, tuple[Purpose, ...]] = {"bedrock": ("customization",), "sagemaker": ("training", "import")}
BACKENDS: dict[Purpose, str] = {purpose: backend for backend, each in PURPOSES.items() for purpose in each}
WORK: dict[Purpose, str] = {
    "customization": "Bedrock's customization jobs",
    "import": "Bedrock's import of SageMaker's models",
    "training": "SageMaker's training jobs",
}
POLICY = "sqlora"  # the name of a role's one inline policy
SLUG_LETTERS = 24  # of a role's name, which may have 64


def setting(purpose: Purpose) -> str:
    """The key of ``[aws]`` that names such a role."""
    return "import_role_arn" if purpose == "import" else "role_arn"


def given_role(settings: AwsSection, purpose: Purpose) -> str | None:
    """The ARN in ``[aws]``; None where there is none."""
    found: str | None = getattr(settings, setting(purpose))
    return found


def own_role(account: Account, state: State, purpose: Purpose) -> Resource | None:
    """The ledger's role for the purpose in this account and region, be it only planned; None without one."""
    for row in state.ledger.list(kind="role"):
        here = row.account == account.id and row.region == account.region
        if here and row.details.get("purpose") == purpose and row.status in ("planned", "created"):
            return row
    return None


def role_arn(account: Account, state: State, purpose: Purpose) -> str:
    """The role that a service is to assume: that of ``[aws]``, else the one that ``doctor --fix`` made.

    ConfigError where there is none, or one that was only half made.
    """
    if given := given_role(account.settings, purpose):
        return given
    key, next_step = setting(purpose), f"sqlora doctor --backend {BACKENDS[purpose]} --fix, or an ARN in sqlora.toml"
    row = own_role(account, state, purpose)
    if row is None:
        raise ConfigError(f"there is no role for {WORK[purpose]}: [aws] {key} is not set", next_step)
    whole = row.status == "created" and any(
        policy.status == "created" for policy in state.ledger.list(kind="policy", parent_id=row.id)
    )
    if not whole or row.arn is None:
        raise ConfigError(f"the role {row.name} for {WORK[purpose]} is only half made", next_step)
    return row.arn


def create_role(site: Site, purpose: Purpose, scope: Scope) -> Resource:
    """Make our role for the purpose, or bring it up to date. Nothing is made twice, whenever a process died."""
    row = own_role(site.account, site.state, purpose)
    if row is None:
        # Random letters keep apart two projects of one name, and later ones from what is left of earlier ones.
        start = slug(site.project.name)[:SLUG_LETTERS].strip("-")
        row = site.plan("role", f"sqlora-{start}-{purpose}-{new_id()[:6]}", details={"purpose": purpose})
    arn = _create(site, row, purpose, scope)
    if row.status == "planned":
        row = site.ledger.created(row.id, arn)
    _put_policy(site, row, purpose, scope)
    return row


def _create(site: Site, row: Resource, purpose: Purpose, scope: Scope) -> str:
    """The ARN of the role, which now exists and trusts whom it should."""
    iam, document = site.account.client("iam"), json.dumps(trust(purpose, scope))
    tags = [{"Key": key, "Value": value} for key, value in site.tags(row).items()]
    with aws_errors(f"create the role {row.name}", f"give `sqlora aws template --backend {site.backend}` to who may"):
        try:
            made = iam.create_role(
                RoleName=row.name,
                AssumeRolePolicyDocument=document,
                Description=f"sqlora: {WORK[purpose]} of the project {slug(site.project.name)}",
                Tags=tags,
            )
            return str(made["Role"]["Arn"])
        except Exception as error:
            if code(error) != "EntityAlreadyExists":
                raise
        found = iam.get_role(RoleName=row.name)["Role"]
        if not is_ours(found, row):
            raise ConflictError(f"the role {row.name} exists, and this project did not make it", "remove or rename it")
        iam.update_assume_role_policy(RoleName=row.name, PolicyDocument=document)
    return str(found["Arn"])


def _put_policy(site: Site, role: Resource, purpose: Purpose, scope: Scope) -> None:
    found = site.state.ledger.list(kind="policy", parent_id=role.id)
    row = found[0] if found else site.plan("policy", f"{role.name}/{POLICY}", parent_id=role.id)
    with aws_errors(f"give the role {role.name} its permissions"):
        site.account.client("iam").put_role_policy(
            RoleName=role.name, PolicyName=POLICY, PolicyDocument=json.dumps(permissions(purpose, scope))
        )
    if row.status == "planned":
        site.ledger.created(row.id, f"{role.arn}/{POLICY}")  # an inline policy has no ARN of its own


def is_ours(role: dict[str, Any], row: Resource) -> bool:
    """Whether IAM's description of a role carries the row's tag."""
    return any(tag["Key"] == "sqlora:id" and tag["Value"] == row.id for tag in role.get("Tags", []))


def remove_policy(site: Site, row: Resource) -> None:
    """Take the permissions away that the ``policy`` row stands for; gone already is fine. The role comes after.

    ConflictError, with nothing changed, when the role of that name is not ours.
    """
    role, _, name = row.name.partition("/")
    site.require_here(row)
    site.ledger.deleting(row.id)
    with aws_errors(f"delete the policy {row.name}"):
        if row.parent_id and _find_ours(site, site.ledger.get(row.parent_id)):
            _unless_missing(site.account.client("iam").delete_role_policy, RoleName=role, PolicyName=name)
    site.ledger.deleted(row.id)


def remove_role(site: Site, row: Resource) -> None:
    """Delete the role of the ``role`` row; gone already is fine.

    ConflictError, with nothing deleted, when the role of that name is not ours, or others have attached policies to
    it, which are theirs to take away.
    """
    site.require_here(row)
    site.ledger.deleting(row.id)
    with aws_errors(f"delete the role {row.name}", f"detach what was attached to {row.name}, then run it again"):
        if _find_ours(site, row):
            _unless_missing(site.account.client("iam").delete_role, RoleName=row.name)
    site.ledger.deleted(row.id)


def _find_ours(site: Site, row: Resource) -> bool:
    """Whether the row's role is still there; ConflictError when somebody else made the one that is."""
    try:
        found = site.account.client("iam").get_role(RoleName=row.name)["Role"]
    except Exception as error:
        if is_missing(error):
            return False
        raise
    if not is_ours(found, row):
        raise ConflictError(f"the role {row.name} is not the one that this project made; it was left alone")
    return True


def _unless_missing(call: Any, **params: str) -> None:
    try:
        call(**params)
    except Exception as error:
        if not is_missing(error):
            raise
