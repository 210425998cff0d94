"""Objects in S3 through boto3: the real one, or whichever the environment or the server's own ``--aws`` points at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlora.errors import ConfigError, DatasetError, DownloadError, NotFoundError
from sqlora.platform.objects import LONGEST_LINE, locate

BLOCK = 2**18  # bytes read at once
PAGE = 1000  # objects listed at once, the most S3 gives
CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0  # what hangs holds up the server's end

_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_DENIED = {"403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"}


class S3Objects:
    """`sqlora.platform.objects.Objects` over an S3 endpoint.

    ``endpoint_url`` None is what boto3 finds (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the configuration file, AWS).
    ``credentials`` are an access key id and its secret; None is what boto3 finds. ``own``: the endpoint is this process
    itself, whose certificate may be for another name and is not looked at, and whose buckets are gone after a restart:
    one that results are to go to is made again. Nothing is asked before first use.
    """

    def __init__(
        self,
        endpoint_url: str | None = None,
        region: str = "us-east-1",
        credentials: tuple[str, str] | None = None,
        own: bool = False,
    ) -> None:
        self._endpoint_url, self._region, self._credentials = endpoint_url, region, credentials
        self._own = own
        self._client: Any = None

    def open(self, uri: str) -> Iterator[bytes]:
        """See `Objects`."""
        bucket, key = _object(uri)
        with _errors(uri):
            body = self._s3().get_object(Bucket=bucket, Key=key)["Body"]
        with body:
            yield from lines(_blocks(body, uri), uri)

    def put(self, uri: str, content: Path | bytes) -> None:
        """See `Objects`."""
        bucket, key = _object(uri)
        try:
            self._put(uri, bucket, key, content)
        except NotFoundError:
            if not self._own:
                raise
            with _errors(uri):
                self._s3().create_bucket(Bucket=bucket)
            self._put(uri, bucket, key, content)

    def _put(self, uri: str, bucket: str, key: str, content: Path | bytes) -> None:
        with _errors(uri):
            if isinstance(content, bytes):
                self._s3().put_object(Bucket=bucket, Key=key, Body=content)
            else:
                self._s3().upload_file(str(content), bucket, key)

    def list(self, prefix: str) -> list[str]:
        """See `Objects`."""
        bucket, key = locate(prefix)
        with _errors(prefix):
            pages = (
                self._s3()
                .get_paginator("list_objects_v2")
                .paginate(Bucket=bucket, Prefix=key, PaginationConfig={"PageSize": PAGE})
            )
            return [f"s3://{bucket}/{found['Key']}" for page in pages for found in page.get("Contents", [])]

    def download(self, uri: str, file: Path, most: int) -> None:
        """See `Objects`."""
        bucket, key = _object(uri)
        with _errors(uri):
            body = self._s3().get_object(Bucket=bucket, Key=key)["Body"]
        with body, file.open("xb") as stream:
            for block in _blocks(body, uri):
                stream.write(block)
                if stream.tell() > most:
                    raise DatasetError(f"{uri} has more than {most:,} bytes")

    def writable(self, uri: str) -> None:
        """See `Objects`. The bucket is looked for; whether one may write shows only when one does."""
        bucket, _ = locate(uri)
        with _errors(uri):
            self._s3().head_bucket(Bucket=bucket)

    def _s3(self) -> Any:
        if self._client is None:
            import boto3
            import urllib3
            from botocore.config import Config

            key_id, secret = self._credentials or (None, None)
            if self._own:
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            self._client = boto3.session.Session().client(
                "s3",
                endpoint_url=self._endpoint_url,
                region_name=self._region,
                aws_access_key_id=key_id,
                aws_secret_access_key=secret,
                verify=False if self._own else None,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "max_attempts": 3},
                    s3={"addressing_style": "path"} if self._endpoint_url else None,
                ),
            )
        return self._client


def lines(blocks: Iterator[bytes], uri: str) -> Iterator[bytes]:
    """The lines of a stream of blocks, without their ends; DatasetError for one longer than `LONGEST_LINE`."""
    rest, number = b"", 0
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            number += 1
            yield _line(line, uri, number)
        _line(rest, uri, number + 1)
    if rest:
        yield _line(rest, uri, number + 1)


def _line(line: bytes, uri: str, number: int) -> bytes:
    if len(line) > LONGEST_LINE:
        raise DatasetError(f"{uri} line {number}: longer than {LONGEST_LINE:,} bytes")
    return line.removesuffix(b"\r")


def _blocks(body: Any, uri: str) -> Iterator[bytes]:
    while True:
        with _errors(uri):
            block: bytes = body.read(BLOCK)
        if not block:
            return
        yield block


def _object(uri: str) -> tuple[str, str]:
    bucket, key = locate(uri)
    if not key:
        raise ConfigError(f"{uri} is a bucket, not an object in one")
    return bucket, key


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except ClientError as error:
        raise _translated(error, uri) from error
    except S3UploadFailedError as error:
        cause = error.__context__
        raise (_translated(cause, uri) if isinstance(cause, ClientError) else _unavailable(error, uri)) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ConfigError(f"{uri}: there are no credentials to reach S3 with", "aws configure") from error
    except BotoCoreError as error:
        raise _unavailable(error, uri) from error


def _translated(error: Any, uri: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if code in _MISSING or status == 404:
        what = (
            "bucket" if code == "NoSuchBucket" or error.operation_name in ("HeadBucket", "ListObjectsV2") else "object"
        )
        return NotFoundError(f"{uri}: there is no such {what}")
    if code in _DENIED or status in (401, 403):
        return ConfigError(f"{uri}: access is denied ({code})")
    if 400 <= status < 500 and status != 429:
        return ConfigError(f"{uri}: S3 refuses the request ({code})")
    return _unavailable(error, uri)


def _unavailable(error: Exception, uri: str) -> DownloadError:
    # Not the error's own text: it may hold the request's headers.
    return DownloadError(f"{uri}: S3 does not answer ({type(error).__name__})", "try again later")
