"""Objects: where customers' files lie. Jobs read records from it and write metrics to it; only adaptors know how.

URIs look like S3's, ``s3://bucket/key``. `sqlora.serve.s3` has the implementation over boto3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from sqlora.errors import ConfigError

LONGEST_LINE = 2**20  # bytes; 32k tokens of text, the service's limit for one record, are a sixth of this

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LONGEST_KEY = 1024  # bytes, S3's limit


class Objects(Protocol):
    """A store of objects by URI.

    Every method raises NotFoundError for a bucket or key that is not there, ConfigError for a URI that is none and
    where the store denies access, DownloadError (which may pass) where it does not answer; the message names the URI.
    """

    def open(self, uri: str) -> Iterator[bytes]:
        """The object's lines without their line ends, streamed; DatasetError for one longer than `LONGEST_LINE`."""

    def put(self, uri: str, content: Path | bytes) -> None:
        """Write an object, in place of one that is there; a path is streamed."""

    def list(self, prefix: str) -> list[str]:
        """The URIs of all objects whose URI begins with ``prefix``, in order; a bucket without such is ``[]``."""

    def download(self, uri: str, file: Path, most: int) -> None:
        """Copy an object into ``file``, which must not exist; DatasetError when it has more than ``most`` bytes."""

    def writable(self, uri: str) -> None:
        """Return if objects may be put under ``uri``, as far as can be said without writing one."""


class Location(NamedTuple):
    """``s3://bucket/key``, taken apart; the key may be empty."""

    bucket: str
    key: str


def locate(uri: str) -> Location:
    """Bucket and key of a URI; ConfigError when it is not ``s3://bucket[/key]``."""
    scheme, found, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not found or not _BUCKET.fullmatch(bucket) or len(key.encode()) > LONGEST_KEY:
        raise ConfigError(f"{uri!r} is not the URI of an S3 object, s3://bucket/key")
    return Location(bucket, key)


def under(prefix: str, *names: str) -> str:
    """The URI of an object below ``prefix``, whether or not that ends in a slash."""
    return "/".join([prefix.rstrip("/"), *names])
