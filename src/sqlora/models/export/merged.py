"""Base model and adapter added up, as a model folder for transformers and everything that reads its format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sqlora.models import cache
from sqlora.models.base import HUB_PATTERNS
from sqlora.models.export.about import write_about
from sqlora.models.export.source import NumberFormat
from sqlora.models.export.weights import INDEX, Weights, check_f16

if TYPE_CHECKING:
    from torch import Tensor

DTYPES: dict[NumberFormat, str] = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


def write_merged(weights: Weights, folder: Path, numbers: NumberFormat) -> None:
    """Safetensors (in as many files as the base model has), configuration and tokenizer. ``numbers``: not q8_0."""
    import torch
    from safetensors.torch import save_file

    base = weights.source.base
    dtype = getattr(torch, DTYPES[numbers])
    total = 0
    for file, names in weights.files.items():
        state: dict[str, Tensor] = {}
        for name in names:
            tensor = weights.tensor(name)
            if numbers == "f16":
                check_f16(name, tensor)
            state[name] = tensor.to(dtype).contiguous() if tensor.is_floating_point() else tensor.contiguous()
            total += state[name].nbytes
        save_file(state, folder / file.name, metadata={"format": "pt"})
    _copy_texts(base.folder, folder)
    config = {key: value for key, value in base.config.items() if key != "torch_dtype"}  # dtype's older name
    _write_json(folder / "config.json", {**config, "dtype": DTYPES[numbers]})
    if (folder / INDEX).exists():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        index["metadata"] = {**index.get("metadata", {}), "total_size": total}
        _write_json(folder / INDEX, index)
    write_about(folder, weights, numbers)


def _copy_texts(base: Path, folder: Path) -> None:
    """Tokenizer, chat template and generation settings; not the cache's own record of the base model's files."""
    texts = [path for pattern in HUB_PATTERNS if pattern != "*.safetensors" for path in base.glob(pattern)]
    for path in texts:
        if path.name not in ("config.json", cache.MANIFEST):
            shutil.copyfile(path, folder / path.name)


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
