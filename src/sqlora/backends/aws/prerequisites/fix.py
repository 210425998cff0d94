"""What ``doctor --fix`` would do: the steps that are missing, in their order, each of which can be carried out twice.

Everything made is in the ledger before AWS is asked for it, so that ``sqlora destroy`` finds it. A step of a bucket or
a role that was only half made finishes it. What ``[aws]`` names is the user's, and is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from filelock import FileLock, Timeout

from sqlora.backends.aws.buckets import create_bucket, new_name, region_of
from sqlora.backends.aws.needs import bucket_name, purposes, scope_of
from sqlora.backends.aws.policies import SERVICES, Document, Purpose, Scope, permissions, tls_only, trust
from sqlora.backends.aws.prerequisites import quota
from sqlora.backends.aws.prerequisites.bucket import unprotected
from sqlora.backends.aws.prerequisites.roles import describe, policy_of
from sqlora.backends.aws.roles import WORK, create_role, given_role, own_role
from sqlora.backends.aws.site import Site
from sqlora.errors import BusyError


@dataclass(frozen=True)
class Step:
    """``what`` will be done, by `do`; ``documents``: the policies that come with it, by what they are."""

    what: str
    do: Callable[[], object]
    documents: Mapping[str, Document] = field(default_factory=dict)


@contextmanager
def alone(site: Site) -> Iterator[None]:
    """One process at a time: two would each make a bucket. BusyError at once while another is at it."""
    site.project.state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(site.project.state / "aws-fix.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise BusyError("another process is at the prerequisites of this project", "try again later") from error
    try:
        yield
    finally:
        lock.release()


def plan(site: Site) -> list[Step]:
    """The steps that are missing. AccountError or ServiceError when AWS cannot be asked what is there."""
    name = bucket_name(site) or new_name(site)
    scope = scope_of(site, name)
    steps = [*_bucket(site, scope), *(step for purpose in purposes(site) for step in _role(site, purpose, scope))]
    return [*steps, *_quota(site)] if site.backend == "sagemaker" else steps


def _bucket(site: Site, scope: Scope) -> Iterator[Step]:
    where = region_of(site.account, scope.bucket)
    if where is None:
        what = f"create the bucket {scope.bucket} in {scope.region}, closed to the public, encrypted, TLS only"
    elif missing := unprotected(site):
        what = f"give the bucket {scope.bucket} what it lacks: {', '.join(missing)}"
    else:
        return
    yield Step(what, lambda: create_bucket(site, scope), {"bucket policy": tls_only(scope)})


def _role(site: Site, purpose: Purpose, scope: Scope) -> Iterator[Step]:
    if given_role(site.settings, purpose) is not None:
        return
    trusting, allowing = trust(purpose, scope), permissions(purpose, scope)
    row = own_role(site.account, site.state, purpose)
    there = describe(site, row.name) if row else None
    if row is None or there is None:
        what = f"create a role for {WORK[purpose]}, which {SERVICES[purpose]} may assume for this account's jobs only"
    elif there["AssumeRolePolicyDocument"] != trusting or policy_of(site, row.name) != allowing:
        what = f"bring the policies of the role {row.name} up to date"
    elif row.status == "planned" or not _has_policy(site, row.id):
        what = f"finish the role {row.name}"
    else:
        return
    documents = {"trust policy": trusting, "permissions": allowing}
    yield Step(what, lambda: create_role(site, purpose, scope), documents)


def _has_policy(site: Site, role_id: str) -> bool:
    return any(row.status == "created" for row in site.ledger.list(kind="policy", parent_id=role_id))


def _quota(site: Site) -> Iterator[Step]:
    there = quota.look(site)
    if there is not None and not there.enough and there.requested is None:
        what = f"ask AWS for a quota of {there.needed} × {site.settings.instance} for training jobs ({there.code})"
        yield Step(what, lambda: quota.request(site, there))
