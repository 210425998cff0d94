"""`export_model`: one source, four formats, a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlora.errors import ConfigError
from sqlora.models.export.place import new_folder
from sqlora.models.export.source import NumberFormat, Source

if TYPE_CHECKING:
    from sqlora.models.base import BaseModel
    from sqlora.models.export.weights import Weights

Format = Literal["peft", "merged", "gguf", "ollama"]
FORMATS: tuple[Format, ...] = ("peft", "merged", "gguf", "ollama")
DEFAULT_NUMBERS: NumberFormat = "f16"


@dataclass(frozen=True)
class Exported:
    """Where it is, and the files there with their sizes in bytes."""

    folder: Path
    files: dict[str, int]


def export_model(
    source: Source,
    format: Format,
    out: Path,
    *,
    numbers: NumberFormat | None = None,
    adapter_only: bool = False,
) -> Exported:
    """Write ``source`` into the new folder ``out``, which appears whole or not at all.

    ``numbers``: how weights are stored (default: float16, of an adapter alone as it is). ``adapter_only``: of GGUF, the
    adapter without its base model; for Ollama both, in a file each, so that several models share the base's.
    ConfigError for what does not go together or is there already, ModelError for weights that cannot be exported so.
    """
    _check(source, format, numbers, adapter_only)
    with new_folder(out) as folder:
        if format == "peft":
            from sqlora.models.export.adapter import write_peft

            write_peft(source, folder)
        else:
            from sqlora.models.export.weights import Weights

            weights = Weights(source)
            if format == "merged":
                from sqlora.models.export.merged import write_merged

                write_merged(weights, folder, numbers or DEFAULT_NUMBERS)
            else:
                _write_gguf(weights, folder, format, numbers, adapter_only)
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Exported(out, files)


def _check(source: Source, format: Format, numbers: NumberFormat | None, adapter_only: bool) -> None:
    if source.adapter is None and (format == "peft" or adapter_only):
        raise ConfigError(f"{source.name} is a base model: it has no adapter", "--format merged, gguf or ollama")
    if adapter_only and format not in ("gguf", "ollama"):
        raise ConfigError(f"--adapter-only goes with gguf and ollama, not with {format}", "--format peft")
    if numbers is not None and format == "peft":
        raise ConfigError(f"--numbers {numbers}: the adapter is copied as it is", "leave --numbers out")
    if numbers == "q8_0" and (format == "merged" or (format == "gguf" and adapter_only)):
        what = "an adapter" if adapter_only else "merged safetensors"
        raise ConfigError(f"{what} can't be stored as q8_0", "--numbers f16, or --format gguf of the whole model")


def _write_gguf(
    weights: Weights, folder: Path, format: Format, numbers: NumberFormat | None, adapter_only: bool
) -> None:
    """The files of ``gguf`` and ``ollama``."""
    from sqlora.models.export.about import write_about
    from sqlora.models.export.gguf_file import write_gguf, write_gguf_adapter
    from sqlora.models.export.ollama import MODELFILE, modelfile
    from sqlora.models.export.weights import Weights

    source, stored = weights.source, numbers or DEFAULT_NUMBERS
    adapter = f"{source.name}-adapter.gguf"
    model = f"{base_name(source.base) if adapter_only else source.name}.gguf"
    if format == "ollama":  # first: what a Modelfile cannot hold is known at once
        text = modelfile(source, model, adapter if adapter_only else None)
        (folder / MODELFILE).write_text(text, encoding="utf-8", newline="")
    if not adapter_only:
        write_gguf(weights, folder / model, stored)
    elif format == "ollama":
        write_gguf(Weights(Source(base_name(source.base), source.base)), folder / model, stored)
        write_gguf_adapter(weights, folder / adapter, "f32")
    else:
        stored = numbers or "f32"
        write_gguf_adapter(weights, folder / adapter, stored)
    write_about(folder, weights, stored)


def base_name(base: BaseModel) -> str:
    """The base model's name as that of a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(base.name).name.removesuffix(".gguf")) or "base"
