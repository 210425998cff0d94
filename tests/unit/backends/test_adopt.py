"""An adapter from elsewhere is checked against a real base model before anything of it is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sqlora.backends.adopt import adopt, check_folder
from sqlora.errors import ModelError
from sqlora.models.adapter import CONFIG, MANIFEST, WEIGHTS, save_adapter
from sqlora.models.base import resolve_base_model
from sqlora.models.digest import hash_file
from sqlora.models.lora import TARGETS, initialise, inject
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("base")))


@pytest.fixture
def folder(tmp_path: Path, base: str) -> Path:
    tensors = initialise(inject(resolve_base_model(base).load_model(torch.float32)), 4, 16, 0, "cpu")
    save_adapter(tmp_path / "adapter", tensors, {"r": 4, "lora_alpha": 16, "target_modules": list(TARGETS)}, {})
    return tmp_path / "adapter"


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def rewrite(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    from safetensors.torch import load_file

    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS)
    change(folder / MANIFEST, weights_sha256=hash_file(folder / WEIGHTS))


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"


def widen(tensors: dict[str, torch.Tensor]) -> None:
    tensors[FIRST.format("A")] = torch.zeros(4, 33)


def add_layer(tensors: dict[str, torch.Tensor]) -> None:
    for side, shape in (("A", (4, 32)), ("B", (32, 4))):
        tensors[FIRST.format(side).replace("layers.0", "layers.9")] = torch.zeros(shape)


def double(tensors: dict[str, torch.Tensor]) -> None:
    tensors[FIRST.format("A")] = tensors[FIRST.format("A")].double()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another base": (lambda folder: change(folder / MANIFEST, base_sha256="0" * 64), "not on this"),
    "another file": (lambda folder: change(folder / MANIFEST, weights_sha256="0" * 64), "is not the file"),
    "wrong width": (lambda folder: rewrite(folder, widen), r"has shape \[4, 33\]"),
    "unknown layer": (lambda folder: rewrite(folder, add_layer), r"no linear layer model\.layers\.9"),
    "number format": (lambda folder: rewrite(folder, double), "stored as F64"),
    "wrong rank": (lambda folder: change(folder / CONFIG, r=8), "r = 8"),
    "half a file": (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:99]), "damaged"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "has no adapter_model.safetensors"),
    "a pickle": (lambda folder: (folder / WEIGHTS).rename(folder / "adapter_model.bin"), "pickled"),
    "no configuration": (lambda folder: (folder / CONFIG).unlink(), "not an adapter folder"),
    "deep JSON": (lambda folder: (folder / CONFIG).write_text("[" * 200_000), "can't be read"),
    "huge JSON": (lambda folder: (folder / CONFIG).write_text(" " * (2**24 + 1)), "at most"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_does_not_fit_is_refused(folder: Path, base: str, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(folder)
    with pytest.raises(ModelError, match=message):
        check_folder(folder, base)


def test_what_is_checked_is_not_loaded(folder: Path, base: str) -> None:
    rewrite(folder, lambda tensors: tensors[FIRST.format("A")].fill_(float("nan")))
    check_folder(folder, base)  # only reading the numbers would tell; that is for when they are loaded


def test_the_manifest_says_which_base_it_was_found_to_fit(folder: Path, base: str, tmp_path: Path) -> None:
    (folder / MANIFEST).unlink()
    manifest = check_folder(folder, base)
    assert manifest == {
        "base_model": base,
        "base_sha256": resolve_base_model(base).sha256,
        "weights_sha256": hash_file(folder / WEIGHTS),
    }
    adopt(folder, tmp_path / "own" / "model", manifest, tmp_path / "own")
    assert check_folder(tmp_path / "own" / "model", base) == manifest


def test_a_copy_appears_whole_or_not_at_all(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sqlora.backends.adopt.shutil.copyfileobj", full)
    with pytest.raises(ModelError, match="no space left"):
        adopt(folder, tmp_path / "own" / "model", {}, tmp_path / "own")
    assert list((tmp_path / "own").iterdir()) == []


def test_a_file_lost_on_the_way(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"has lost adapter_model\.safetensors"):
        adopt(folder, tmp_path / "own" / "model", {}, tmp_path / "own")
    assert list((tmp_path / "own").iterdir()) == []
