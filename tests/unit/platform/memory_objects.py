"""Objects in a dictionary; ``failing`` counts how many more calls the store is to be away for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlora.errors import DatasetError, DownloadError, NotFoundError
from sqlora.platform.objects import locate


class MemoryObjects:
    def __init__(self, *buckets: str) -> None:
        self.buckets = set(buckets or ("bucket",))
        self.content: dict[str, bytes] = {}
        self.failing = 0

    def open(self, uri: str) -> Iterator[bytes]:
        yield from self._get(uri).removesuffix(b"\n").split(b"\n")

    def put(self, uri: str, content: Path | bytes) -> None:
        self.writable(uri)
        self.content[uri] = content if isinstance(content, bytes) else content.read_bytes()

    def list(self, prefix: str) -> list[str]:
        self.writable(prefix)
        return sorted(uri for uri in self.content if uri.startswith(prefix))

    def download(self, uri: str, file: Path, most: int) -> None:
        content = self._get(uri)
        if len(content) > most:
            raise DatasetError(f"{uri} has more than {most:,} bytes")
        file.write_bytes(content)

    def writable(self, uri: str) -> None:
        if self.failing:
            self.failing -= 1
            raise DownloadError(f"{uri}: S3 does not answer")
        if locate(uri).bucket not in self.buckets:
            raise NotFoundError(f"{uri}: there is no such bucket")

    def _get(self, uri: str) -> bytes:
        self.writable(uri)
        if uri not in self.content:
            raise NotFoundError(f"{uri}: there is no such object")
        return self.content[uri]
