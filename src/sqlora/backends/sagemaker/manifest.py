"""Where Nova's container left its checkpoint: ``checkpoint_s3_bucket`` of manifest.json in the job's output.

    <output>/<job>/output/output/manifest.json      CompressionType NONE
    <output>/<job>/output/output.tar.gz             GZIP, with manifest.json in it

The address is in a bucket of Amazon's, the escrow, that only Bedrock's import reads.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from sqlora.backends.aws.storage import Storage

NAME, ARCHIVE = "manifest.json", "output.tar.gz"
KEY = "checkpoint_s3_bucket"
LARGEST = 2**20  # bytes of a manifest; it has a few hundred


def escrow_of(storage: Storage, output: str, job: str) -> str | None:
    """The checkpoint's address; None when the job left none that can be read."""
    found = storage.list(f"{output.rstrip('/')}/{job}/output/")
    for uri in sorted(found, key=lambda uri: not uri.endswith(f"/{NAME}")):
        if uri.endswith((f"/{NAME}", f"/{ARCHIVE}")):
            data = storage.read(uri) or b""
            if escrow := _checkpoint(data if uri.endswith(NAME) else _unpacked(data)):
                return escrow
    return None


def _checkpoint(data: bytes) -> str | None:
    try:
        value: Any = json.loads(data)[KEY]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) and value.startswith("s3://") else None


def _unpacked(data: bytes) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name.rsplit("/", 1)[-1] == NAME else None
                if file is not None:
                    return file.read(LARGEST)
    except (tarfile.TarError, OSError, EOFError):
        pass
    return b""
