"""S3: what a project uploads and what the services write for it, each a row of the ledger.

    s3://BUCKET/sqlora/<id of the row>/<key>

The row's id makes the address this project's alone: two projects in one bucket, with the same data, never delete each
other's. The content's SHA-256 is in the row, so that the same file is uploaded once.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.errors import AccountError, ConfigError
from sqlora.platform.ledger import Resource
from sqlora.platform.names import slug
from sqlora.platform.state import State

PREFIX = "sqlora"
OWN_KEYS = {"ServerSideEncryption": "AES256"}  # S3's
PART_BYTES = 16 * 2**20  # of a multipart upload; smaller files go in one piece
BLOCK = 2**20
DELETED_AT_ONCE = 1000  # S3's limit of one DeleteObjects


class Storage:
    """The objects of one backend. ``project`` is the tag that they bear."""

    def __init__(self, account: Account, state: State, backend: str, project: str) -> None:
        self._account, self._state, self._backend, self._project = account, state, backend, project

    @property
    def _s3(self) -> Any:
        return self._account.client("s3")

    def bucket(self) -> str:
        """``[aws] bucket``, else the one in the ledger of this account; ConfigError when there is none."""
        if self._account.settings.bucket:
            return self._account.settings.bucket
        here = (self._account.id, self._account.region)
        for row in self._state.ledger.list(kind="bucket"):
            if row.status == "created" and (row.account, row.region) == here:
                return row.name
        raise ConfigError(
            "there is no S3 bucket for datasets and results",
            f"sqlora doctor --backend {self._backend} --fix makes one, or set [aws] bucket in sqlora.toml",
        )

    # writing --------------------------------------------------------------------------------------------------

    def upload(self, path: Path, key: str) -> Resource:
        """The object with the file's bytes, its arn the s3:// address; uploaded only if it is not there yet.

        Encrypted at rest (by ``[aws] kms_key``, if there is one), checked by SHA-256 on the way, in parts when large.
        """
        digest, size, bucket = _digest(path), path.stat().st_size, self.bucket()
        row = self._known(key, digest, bucket) or self._plan(key, {"bucket": bucket, "sha256": digest, "bytes": size})
        uri = _uri(row)
        if row.status != "created" or self._size(uri) != size:
            self._put(path, uri, row)
        return row if row.status == "created" else self._state.ledger.created(row.id, uri)

    def folder(self, key: str, parent_id: str | None = None) -> Resource:
        """A place that a service is to write into, its arn an s3:// address that ends in a slash; one a parent."""
        name = f"{key.rstrip('/')}/"
        row = self._folder(name, parent_id) or self._plan(name, {"bucket": self.bucket()}, parent_id)
        return row if row.status == "created" else self._state.ledger.created(row.id, _uri(row))

    def _folder(self, name: str, parent_id: str | None) -> Resource | None:
        if parent_id is None:
            return None
        rows = self._state.ledger.list(kind="object", backend=self._backend, parent_id=parent_id)
        return next((row for row in rows if row.name == name and row.status in ("planned", "created")), None)

    def _known(self, key: str, digest: str, bucket: str) -> Resource | None:
        rows = self._state.ledger.list(kind="object", backend=self._backend)
        same = {"sha256": digest, "bucket": bucket}
        here = (self._account.id, key)
        return next(
            (
                row
                for row in rows
                if row.status in ("planned", "created")
                and (row.account, row.name) == here
                and same.items() <= row.details.items()
            ),
            None,
        )

    def _plan(self, key: str, details: dict[str, Any], parent_id: str | None = None) -> Resource:
        return self._state.ledger.plan(
            self._backend,
            "object",
            key,
            account=self._account.id,
            region=self._account.region,
            parent_id=parent_id,
            details=details,
        )

    def _put(self, path: Path, uri: str, row: Resource) -> None:
        from boto3.s3.transfer import TransferConfig

        bucket, key = split(uri)
        kms_key = self._account.settings.kms_key
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else OWN_KEYS
        tags = urlencode({"sqlora:id": row.id, "sqlora:project": slug(self._project)})
        with (
            path.open("rb") as file,
            aws_errors(f"upload {path} to {uri}", f"sqlora doctor --backend {self._backend} checks bucket and rights"),
        ):
            self._s3.upload_fileobj(
                file,
                bucket,
                key,
                ExtraArgs={**encryption, "ChecksumAlgorithm": "SHA256", "Tagging": tags},
                Config=TransferConfig(
                    multipart_threshold=PART_BYTES,
                    multipart_chunksize=PART_BYTES,
                    use_threads=row.details["bytes"] >= PART_BYTES,
                ),
            )

    # reading --------------------------------------------------------------------------------------------------

    def read(self, uri: str) -> bytes | None:
        """The object's bytes; None when there is none."""
        bucket, key = split(uri)
        with aws_errors(f"read {uri}"):
            try:
                data: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except Exception as error:
                if is_missing(error):
                    return None
                raise
        return data

    def list(self, prefix: str) -> list[str]:
        """The s3:// addresses that begin with ``prefix``, in order."""
        bucket, key = split(prefix)
        with aws_errors(f"list {prefix}"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            return [f"s3://{bucket}/{each['Key']}" for page in pages for each in page.get("Contents", [])]

    def _size(self, uri: str) -> int | None:
        bucket, key = split(uri)
        with aws_errors(f"look for {uri}"):
            try:
                size: int = self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
            except Exception as error:
                if is_missing(error):
                    return None
                raise
        return size

    # removing -------------------------------------------------------------------------------------------------

    def remove(self, row: Resource) -> None:
        """Delete the row's object, or all that a service wrote into its folder, and parts of broken uploads."""
        here = (self._account.id, self._account.region)
        if (row.account, row.region) != here:
            raise AccountError(
                f"{_uri(row)} was written in account {row.account}, {row.region}; these credentials are of {here[0]}",
                "the other AWS_PROFILE, or [aws] profile and region in sqlora.toml",
            )
        row = self._state.ledger.deleting(row.id)
        bucket, key = split(_uri(row))
        with aws_errors(f"delete {_uri(row)}"):
            try:
                self._delete(bucket, key)
            except Exception as error:
                if not is_missing(error):  # the bucket itself may be gone
                    raise
        self._state.ledger.deleted(row.id)

    def _delete(self, bucket: str, key: str) -> None:
        for upload in self._s3.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", []):
            self._s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=key, PaginationConfig={"PageSize": DELETED_AT_ONCE}
        )
        for page in pages:
            found = [{"Key": each["Key"]} for each in page.get("Contents", [])]
            if found:
                answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise AccountError(
                        f"cannot delete s3://{bucket}/{errors[0]['Key']}: {errors[0].get('Message')}",
                        f"sqlora doctor --backend {self._backend} says which permission is missing",
                    )


def split(uri: str) -> tuple[str, str]:
    """(bucket, key) of an s3:// address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _uri(row: Resource) -> str:
    return row.arn or f"s3://{row.details['bucket']}/{PREFIX}/{row.id}/{row.name}"


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
