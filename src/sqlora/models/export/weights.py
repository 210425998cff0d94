"""The weights of a base model with an adapter added: W + s · B A, one tensor in memory at a time.

    W [out, in]   A [r, in]   B [out, r]   s = alpha / r

Added in float32 whatever they are stored in, and rounded once, by whoever writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlora.errors import ModelError
from sqlora.models.adapter import load_adapter
from sqlora.models.export.source import Source
from sqlora.models.lora import peft_name

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

INDEX = "model.safetensors.index.json"
LARGEST_F16 = 65504.0


class Weights:
    """The tensors of ``source`` by their names in transformers. ModelError for an adapter that does not fit."""

    def __init__(self, source: Source) -> None:
        self.source = source
        if "quantization_config" in source.base.config:
            raise ModelError(
                f"{source.base.name} is stored quantized, so nothing can be added to its weights",
                "export the adapter alone: --format peft, or --adapter-only",
            )
        self.adapter: Mapping[str, Tensor] = {}
        self.adapter_config: Mapping[str, Any] = {}
        self.manifest: Mapping[str, Any] = {}
        if source.adapter is not None:
            self.adapter, self.adapter_config, self.manifest = load_adapter(source.adapter, source.base)
        self._files = {name: file for file in _weight_files(source.base.folder) for name in _names(file)}
        lost = next((layer for layer in self.layers if f"{layer}.weight" not in self._files), None)
        if lost:
            raise ModelError(f"{source.base.name} has no weights for {lost}, which the adapter changes")

    @property
    def layers(self) -> list[str]:
        """Full names of the linear layers that the adapter changes, such as ``model.layers.0.self_attn.q_proj``."""
        before, after = "base_model.model.", ".lora_A.weight"
        return [key.removeprefix(before).removesuffix(after) for key in self.adapter if key.endswith(after)]

    @property
    def alpha(self) -> float:
        """The adapter's alpha: its update counts alpha / r times."""
        return float(self.adapter_config["lora_alpha"])

    def update(self, layer: str) -> tuple[Tensor, Tensor]:
        """(A [r, in], B [out, r]) of one layer, as they are stored."""
        return self.adapter[peft_name(layer, "A")], self.adapter[peft_name(layer, "B")]

    @property
    def files(self) -> dict[Path, list[str]]:
        """The base model's files with the names of their tensors."""
        files: dict[Path, list[str]] = {}
        for name, file in self._files.items():
            files.setdefault(file, []).append(name)
        return files

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor, from the files' headers."""
        shapes: dict[str, tuple[int, ...]] = {}
        for file in self.files:
            with _opened(file) as stored:
                shapes |= {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
        return shapes

    def tensor(self, name: str) -> Tensor:
        """One of them: with the adapter added, in float32, where it changes it; else as it is stored."""
        with _opened(self._files[name]) as stored:
            tensor: Tensor = stored.get_tensor(name)
        layer = name.removesuffix(".weight")
        return self._merged(layer, tensor) if peft_name(layer, "A") in self.adapter else tensor

    def _merged(self, layer: str, weight: Tensor) -> Tensor:
        a, b = self.update(layer)
        return weight.float().addmm(b.float(), a.float(), alpha=self.alpha / a.shape[0])


def _weight_files(folder: Path) -> list[Path]:
    """Those that the index names, where there is one; other safetensors in the folder are not the model's."""
    try:
        named = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    except FileNotFoundError:
        return sorted(folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{folder / INDEX} can't be read: {error}", "copy the model again") from error
    return [folder / name for name in sorted(named)]


def _names(file: Path) -> list[str]:
    with _opened(file) as stored:
        return list(stored.keys())


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as stored:
            yield stored
    except (SafetensorError, FileNotFoundError) as error:
        raise ModelError(f"{file} is missing or damaged: {error}", "copy or download the model again") from error


def check_f16(name: str, numbers: Tensor | np.ndarray) -> None:
    """ModelError for numbers that float16 cannot hold."""
    if float(numbers.max()) > LARGEST_F16 or float(numbers.min()) < -LARGEST_F16:
        raise ModelError(f"{name} holds numbers above {LARGEST_F16:,.0f}, the greatest of f16", "--numbers f32 or bf16")
