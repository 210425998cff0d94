"""All checks, in the order in which a failing one explains the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlora.backends.aws.needs import bucket_name, is_nova, purposes
from sqlora.backends.aws.prerequisites import account, bucket, data, quota, roles
from sqlora.backends.aws.prerequisites.result import Result, found
from sqlora.backends.aws.site import Site

Look = Callable[[], Result | list[Result]]


def check(site: Site) -> Iterator[Result]:
    """Each result as it is found. AWS is only looked at; nothing is changed there."""
    known = list(found("credentials", lambda: account.credentials(site)))
    yield from known
    if known[0].status == "pass":
        for name, look in _of_account(site).items():
            yield from found(name, look)
    else:
        yield Result("account", "unknown", "model access, permissions, bucket and roles: not looked at")
    for name, look in _of_data(site).items():
        yield from found(name, look)


def _of_account(site: Site) -> dict[str, Look]:
    name = bucket_name(site)
    looks: dict[str, Look] = {
        "region": lambda: account.region(site),
        "model access": lambda: account.model_access(site),
        "permissions": lambda: account.permissions(site, name),
        "bucket": lambda: bucket.bucket(site),
    }
    for purpose in purposes(site):
        looks[f"{purpose} role"] = lambda purpose=purpose: roles.role(site, purpose, name)  # type: ignore[misc]
    if site.backend == "sagemaker":
        looks["quota"] = lambda: quota.quota(site)
    return looks


def _of_data(site: Site) -> dict[str, Look]:
    looks: dict[str, Look] = {"records": lambda: data.dataset(site)}
    if is_nova(site):
        looks["tokens"] = lambda: data.tokens(site)
    return {**looks, "hyperparameters": lambda: data.recipe(site), "bill": lambda: data.bill(site)}
