from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sqlora.errors import ConfigError, DatasetError, DownloadError, NotFoundError
from sqlora.platform.objects import LONGEST_LINE, Objects, locate, under
from sqlora.serve import s3
from sqlora.serve.s3 import S3Objects, lines


@pytest.fixture
def objects() -> Iterator[Objects]:
    # by path, as behind --aws: the emulator, when a test before has used it, makes moto look nowhere else
    with mock_aws():
        made = S3Objects("https://s3.us-east-1.amazonaws.com", credentials=("a", "b"))
        made._s3().create_bucket(Bucket="bucket")
        yield made


def test_what_is_put_is_read_by_lines(objects: Objects, tmp_path: Path) -> None:
    objects.put("s3://bucket/a/b.jsonl", b"one\r\ntwo\n\nfour")
    assert [*objects.open("s3://bucket/a/b.jsonl")] == [b"one", b"two", b"", b"four"]
    file = tmp_path / "file"
    file.write_bytes(b"x\n")
    objects.put("s3://bucket/a/c", file)
    assert [*objects.open("s3://bucket/a/c")] == [b"x"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_they_arrive(size: int) -> None:
    text = b"one\ntwo\r\n\nfour\n"
    blocks = (text[start : start + size] for start in range(0, len(text), size))
    assert [*lines(blocks, "s3://b/k")] == [b"one", b"two", b"", b"four"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\nmore\n"])
def test_a_line_too_long_is_refused_before_it_is_whole(end: bytes) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"short\n"
        for _ in range(LONGEST_LINE // 2**16 + 1):
            yield b"x" * 2**16
        yield end

    with pytest.raises(DatasetError, match="s3://b/k line 2: longer than"):
        list(lines(blocks(), "s3://b/k"))


def test_objects_are_listed_by_prefix_over_pages(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PAGE", 2)
    for number in range(5):
        objects.put(f"s3://bucket/many/{number}", b"")
    objects.put("s3://bucket/other", b"")
    assert objects.list("s3://bucket/many/") == [f"s3://bucket/many/{number}" for number in range(5)]
    assert objects.list("s3://bucket/none") == []


def test_a_download_is_bounded_and_never_replaces_a_file(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "BLOCK", 4)
    objects.put("s3://bucket/k", b"0123456789")
    objects.download("s3://bucket/k", tmp_path / "a", 10)
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    with pytest.raises(DatasetError, match="more than 9 bytes"):
        objects.download("s3://bucket/k", tmp_path / "b", 9)
    with pytest.raises(FileExistsError):
        objects.download("s3://bucket/k", tmp_path / "a", 10)


def test_what_is_not_there_is_named(objects: Objects, tmp_path: Path) -> None:
    objects.writable("s3://bucket/any/where")
    with pytest.raises(NotFoundError, match="s3://bucket/none: there is no such object"):
        list(objects.open("s3://bucket/none"))
    with pytest.raises(NotFoundError, match="s3://bucket/none"):
        objects.download("s3://bucket/none", tmp_path / "x", 10)
    for call in (objects.writable, objects.list, lambda uri: objects.put(uri, b"x")):
        with pytest.raises(NotFoundError, match="s3://nowhere/k: there is no such bucket"):
            call("s3://nowhere/k")
    with pytest.raises(NotFoundError, match="s3://nowhere/f"):
        objects.put("s3://nowhere/f", _file(tmp_path))
    assert not (tmp_path / "x").exists()


def _file(folder: Path) -> Path:
    file = folder / "content"
    file.write_bytes(b"x")
    return file


def test_denied_and_refused_are_final_and_throttled_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def translated(code: str, status: int) -> Exception:
        response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        with pytest.raises((ConfigError, DownloadError, NotFoundError)) as caught, s3._errors("s3://b/k"):
            raise ClientError(response, "GetObject")  # type: ignore[arg-type]
        return caught.value

    assert "denied (AccessDenied)" in str(translated("AccessDenied", 403))
    assert isinstance(translated("403", 403), ConfigError)
    assert isinstance(translated("InvalidRequest", 400), ConfigError)
    assert isinstance(translated("SlowDown", 503), DownloadError)
    assert isinstance(translated("TooManyRequests", 429), DownloadError)


def test_a_store_that_does_not_answer_may_come_back() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        objects = S3Objects(f"http://127.0.0.1:{bound.getsockname()[1]}", credentials=("a", "top-secret"))
        with pytest.raises(DownloadError, match="s3://bucket/k: S3 does not answer") as caught:
            objects.writable("s3://bucket/k")
        assert "top-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "bucket/key",
        "http://bucket/key",
        "s3://",
        "s3:///key",
        "s3://UPPER/key",
        "s3://b/k",
        f"s3://bucket/{'k' * 1025}",
    ],
)
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError):
        locate(uri)


def test_a_bucket_alone_is_no_object(objects: Objects) -> None:
    with pytest.raises(ConfigError, match="is a bucket"):
        list(objects.open("s3://bucket"))


def test_uris_are_joined_with_one_slash() -> None:
    assert under("s3://b/out/", "a", "b.csv") == under("s3://b/out", "a", "b.csv") == "s3://b/out/a/b.csv"
    assert under("s3://b/out", "") == "s3://b/out/"


def test_only_a_bucket_of_its_own_is_made_again(objects: Objects) -> None:
    with pytest.raises(NotFoundError):
        objects.put("s3://gone/metrics.csv", b"1")
    own = S3Objects("https://s3.us-east-1.amazonaws.com", credentials=("a", "b"), own=True)
    own.put("s3://gone/metrics.csv", b"1")
    assert [*objects.open("s3://gone/metrics.csv")] == [b"1"]
