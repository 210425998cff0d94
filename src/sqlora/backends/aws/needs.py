"""What a backend needs of an account: which roles, which bucket, and what the policies are about."""

from __future__ import annotations

from sqlora.backends.aws.buckets import own_bucket
from sqlora.backends.aws.policies import Purpose, Scope
from sqlora.backends.aws.roles import PURPOSES
from sqlora.backends.aws.site import Site
from sqlora.settings import AwsSection

AMAZON = "amazon."  # how the ids of models begin that Bedrock serves; other names are open models


def is_nova(site: Site) -> bool:
    """Whether the model of ``[aws]`` is one of Amazon's, which Bedrock keeps; else its adapter comes back to us."""
    return site.settings.model.startswith(AMAZON)


def purposes(site: Site) -> tuple[Purpose, ...]:
    """The roles that the site's backend takes."""
    return purposes_of(site.backend, site.settings)


def purposes_of(backend: str, settings: AwsSection) -> tuple[Purpose, ...]:
    """The roles that a backend takes; an open model trained on SageMaker is never imported into Bedrock."""
    return tuple(each for each in PURPOSES[backend] if each != "import" or settings.model.startswith(AMAZON))


def bucket_name(site: Site) -> str | None:
    """``[aws] bucket``, else that of ours in the ledger; None without either."""
    if site.settings.bucket:
        return site.settings.bucket
    row = own_bucket(site.account, site.state)
    return row.name if row else None


def scope_of(site: Site, bucket: str) -> Scope:
    """The account, region and key at hand, and the bucket of that name."""
    account = site.account
    return Scope(account.partition, account.region, account.id, bucket, site.settings.kms_key, site.settings.image)
