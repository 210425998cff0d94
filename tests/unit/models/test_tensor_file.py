"""Reading safetensors files, again and again."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from sqlora.models.tensor_file import read_tensors


def write(file: Path, metadata: dict[str, str] | None = None) -> dict[str, torch.Tensor]:
    tensors = {f"layer.{n}": torch.randn(3, n + 1).to((torch.float32, torch.bfloat16)[n % 2]) for n in range(20)}
    save_file(tensors, file, metadata=metadata)
    return tensors


def test_what_is_read_is_what_was_written_and_stays_when_the_file_goes(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    written = write(file, {"identity": "shop"})
    read, metadata = read_tensors(file)
    file.write_bytes(b"cut off")
    assert metadata == {"identity": "shop"}
    assert read.keys() == written.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in written.items())


def test_a_file_without_metadata_has_none(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors")[1] == {}


@pytest.mark.parametrize("content", [b"", b"\x08\x00", b"\xff" * 64, b"\x02\x00\x00\x00\x00\x00\x00\x00[]"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(SafetensorError):
        read_tensors(tmp_path / "a.safetensors")


def test_reading_again_and_again_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors")

    def blocks_after(times: int) -> int:
        for _ in range(times):
            read_tensors(tmp_path / "a.safetensors")
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks_after(20)
    assert blocks_after(200) - before < 200  # safe_open's get_tensor leaves two a tensor: 8,000
