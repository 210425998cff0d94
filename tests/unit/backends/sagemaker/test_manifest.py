"""Where the checkpoint is, in every form that Nova's container leaves it, and in none."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any, cast

import pytest

from sqlora.backends.sagemaker.manifest import escrow_of

ESCROW = "s3://customer-escrow-123456789012-x/job/1/step_4"
OUT = "s3://bucket/out"


class FakeStorage:
    def __init__(self, **objects: bytes) -> None:
        self.objects = {
            f"{OUT}/job/output/{name.replace('__', '/').replace('_', '.')}": data for name, data in objects.items()
        }

    def list(self, prefix: str) -> list[str]:
        return sorted(uri for uri in self.objects if uri.startswith(prefix))

    def read(self, uri: str) -> bytes | None:
        return self.objects.get(uri)


def manifest(value: Any = ESCROW) -> bytes:
    return json.dumps({"checkpoint_s3_bucket": value}).encode()


def archive(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as opened:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        opened.addfile(member, io.BytesIO(content))
    return made.getvalue()


def escrow(**objects: bytes) -> str | None:
    return escrow_of(cast(Any, FakeStorage(**objects)), OUT, "job")


def test_uncompressed_and_compressed() -> None:
    assert escrow(output__manifest_json=manifest()) == ESCROW
    assert escrow(output_tar_gz=archive("manifest.json", manifest())) == ESCROW
    assert escrow(output_tar_gz=archive("./output/manifest.json", manifest())) == ESCROW


def test_the_plain_one_goes_first() -> None:
    assert escrow(output__manifest_json=manifest(), output_tar_gz=b"") == ESCROW


@pytest.mark.parametrize(
    "objects",
    [
        {},
        {"output__manifest_json": b"{"},
        {"output__manifest_json": b"[]"},
        {"output__manifest_json": manifest(7)},
        {"output__manifest_json": manifest("https://elsewhere")},
        {"output_tar_gz": b"torn"},
        {"output_tar_gz": gzip.compress(b"x" * 100)[:40]},
        {"output_tar_gz": archive("other.json", manifest())},
    ],
)
def test_what_says_nothing_is_none(objects: dict[str, bytes]) -> None:
    assert escrow(**objects) is None
