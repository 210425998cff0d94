"""The bucket of datasets and results: found, made, protected and removed.

It is the one that ``[aws] bucket`` names, or one of ours, which the ledger has. A bucket that we did not make is used
as it is: its settings are its owner's. All calls can be repeated, so a half-made bucket is finished by making it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlora.backends.aws.errors import aws_errors, code, is_missing
from sqlora.backends.aws.policies import Scope, tls_only
from sqlora.errors import AccountError, ConflictError
from sqlora.platform.ledger import Resource
from sqlora.platform.names import new_id, slug

if TYPE_CHECKING:
    from sqlora.backends.aws.account import Account
    from sqlora.backends.aws.site import Site
    from sqlora.platform.state import State

SLUG_LETTERS = 20  # of a bucket's name, which may have 63
ABORT_DAYS = 7  # parts of an upload that was never finished are billed and seen nowhere
OLD_REGION = "us-east-1"  # where S3 began: it is not named as a location
PUBLIC_ACCESS = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True,
                 "RestrictPublicBuckets": True}  # fmt: skip


@dataclass(frozen=True)
class Protection:
    """One setting of our bucket: ``get`` what there is, the same as ``wanted`` or not, and ``put`` it in place."""

    name: str
    wanted: Any
    get: Callable[[], Any]
    put: Callable[[], Any]

    def is_in_place(self) -> bool:
        """Whether the bucket has it; what a bucket never had is an error of S3's, whose code begins with NoSuch."""
        try:
            return bool(self.get() == self.wanted)
        except Exception as error:
            if code(error).startswith("NoSuch") or code(error) == "ServerSideEncryptionConfigurationNotFoundError":
                return False
            raise


def own_bucket(account: Account, state: State) -> Resource | None:
    """The ledger's bucket in this account and region, be it only planned; of the name in ``[aws]``, if there is one."""
    wanted = account.settings.bucket
    for row in state.ledger.list(kind="bucket"):
        here = row.account == account.id and row.region == account.region
        if here and row.status in ("planned", "created") and wanted in (None, row.name):
            return row
    return None


def new_name(site: Site) -> str:
    """A name for a bucket of ours. Bucket names are everybody's: one that can be guessed can be taken before us."""
    start = slug(site.project.name)[:SLUG_LETTERS].strip("-")
    return f"sqlora-{start}-{site.account.id}-{new_id()[:6]}"


def region_of(account: Account, name: str) -> str | None:
    """The region of the bucket, which is this account's; None where there is no bucket of that name.

    AccountError when it belongs to another account, or looking is not allowed: S3 does not tell these apart.
    """
    with aws_errors(f"look at the bucket {name}"):
        try:
            found = account.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=account.id)
        except Exception as error:
            if is_missing(error):
                return None
            if code(error) in ("403", "AccessDenied"):
                raise AccountError(
                    f"the bucket {name} belongs to another account than {account.id}, or you may not see it",
                    "another [aws] bucket in sqlora.toml, or s3:ListBucket on this one",
                ) from None  # not merely unknown: who may not look into it cannot use it either
            raise
    return str(found.get("BucketRegion") or account.region)


def create_bucket(site: Site, scope: Scope) -> Resource | None:
    """Make our bucket, or bring its protections up to date; ``scope`` has its name.

    None when a bucket of the name in ``[aws]`` has come into being by other hands: then it is not ours. ConflictError
    when another account has the name.
    """
    row = own_bucket(site.account, site.state) or site.plan("bucket", scope.bucket)
    if region_of(site.account, row.name) is None:
        _create(site, row)
    elif row.status == "planned" and not is_ours(site, row):
        site.ledger.deleted(row.id)
        return None
    with aws_errors(f"protect the bucket {row.name}"):
        for protection in protections(site, row, scope):
            if not protection.is_in_place():
                protection.put()
    return site.ledger.created(row.id, scope.bucket_arn) if row.status == "planned" else row


def _create(site: Site, row: Resource) -> None:
    where = {} if site.account.region == OLD_REGION else {"LocationConstraint": site.account.region}
    with aws_errors(f"create the bucket {row.name}", f"give `sqlora aws template --backend {site.backend}` to who may"):
        try:
            site.account.client("s3").create_bucket(
                Bucket=row.name, CreateBucketConfiguration={**where, "Tags": _tags(site, row)}
            )
        except Exception as error:
            if code(error) == "BucketAlreadyExists":
                raise ConflictError(f"another account has a bucket {row.name}", "another [aws] bucket") from error
            if code(error) != "BucketAlreadyOwnedByYou":
                raise


def protections(site: Site, row: Resource, scope: Scope) -> list[Protection]:
    """What our bucket has beyond its name; a user who looks for a weakness begins here."""
    s3, bucket = site.account.client("s3"), {"Bucket": row.name, "ExpectedBucketOwner": site.account.id}
    encryption, lifecycle, policy, tags = _encryption(scope), _lifecycle(), tls_only(scope), _tags(site, row)
    return [
        Protection(
            "no public access",
            PUBLIC_ACCESS,
            lambda: s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"],
            lambda: s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=PUBLIC_ACCESS),
        ),
        Protection(
            "encryption by the key of [aws] kms_key" if scope.kms_key else "encryption",
            encryption["ApplyServerSideEncryptionByDefault"],
            lambda: _default_encryption(s3.get_bucket_encryption(**bucket)),
            lambda: s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": [encryption]}),
        ),
        Protection(
            "TLS only",
            policy,
            lambda: json.loads(s3.get_bucket_policy(**bucket)["Policy"]),
            lambda: s3.put_bucket_policy(**bucket, Policy=json.dumps(policy)),
        ),
        Protection(
            f"unfinished uploads dropped after {ABORT_DAYS} days",
            [(rule["ID"], rule["Status"]) for rule in lifecycle["Rules"]],
            lambda: [(r["ID"], r["Status"]) for r in s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]],
            lambda: s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration=lifecycle),
        ),
        Protection(
            "tags",
            True,
            lambda: is_tagged(site, row),
            lambda: s3.put_bucket_tagging(**bucket, Tagging={"TagSet": tags}),
        ),
    ]


def is_ours(site: Site, row: Resource) -> bool:
    """Whether the bucket is the row's: by its tag, or by letters in its name that nobody could have guessed."""
    return row.name != site.settings.bucket or is_tagged(site, row)


def is_tagged(site: Site, row: Resource) -> bool:
    """Whether the bucket carries the row's tags."""
    with aws_errors(f"look at the bucket {row.name}"):
        try:
            found = site.account.client("s3").get_bucket_tagging(Bucket=row.name, ExpectedBucketOwner=row.account)
        except Exception as error:
            if code(error) == "NoSuchTagSet":
                return False
            raise
    return all(tag in found["TagSet"] for tag in _tags(site, row))


def remove_bucket(site: Site, row: Resource) -> None:
    """Delete our bucket, which has to be empty; gone already is fine. ConflictError while something is in it."""
    site.require_here(row)
    site.ledger.deleting(row.id)
    with aws_errors(f"delete the bucket {row.name}"):
        if region_of(site.account, row.name) is not None:
            if not is_ours(site, row):
                raise ConflictError(f"the bucket {row.name} is not the one that this project made; it was left alone")
            _delete(site, row)
    site.ledger.deleted(row.id)


def _delete(site: Site, row: Resource) -> None:
    try:
        site.account.client("s3").delete_bucket(Bucket=row.name, ExpectedBucketOwner=site.account.id)
    except Exception as error:
        if code(error) == "BucketNotEmpty":
            raise ConflictError(
                f"the bucket {row.name} holds objects that this project did not write, or older versions of its own",
                f"aws s3 ls s3://{row.name} --recursive; once it is empty, sqlora destroy",
            ) from error
        if not is_missing(error):
            raise


def _encryption(scope: Scope) -> dict[str, Any]:
    if scope.kms_key is None:
        return {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": scope.kms_key}
    return {"ApplyServerSideEncryptionByDefault": by_key, "BucketKeyEnabled": True}


def _default_encryption(answer: dict[str, Any]) -> Any:
    return answer["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]


def _lifecycle() -> dict[str, Any]:
    abort = {"DaysAfterInitiation": ABORT_DAYS}
    rule = {"ID": "sqlora-unfinished-uploads", "Status": "Enabled", "Filter": {"Prefix": ""}}
    return {"Rules": [{**rule, "AbortIncompleteMultipartUpload": abort}]}


def _tags(site: Site, row: Resource) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in site.tags(row).items()]
