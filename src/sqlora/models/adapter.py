"""An adapter on disk: LoRA matrices in PEFT's format, and a manifest that says what they were trained on.

    adapter_config.json         PEFT's LoraConfig: r, lora_alpha, target_modules, …
    adapter_model.safetensors   base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight [r, in], …lora_B [out, r]
    manifest.json               base model and its hash, dialect, dataset, recipe, metrics, when

``PeftModel.from_pretrained(model, folder)`` loads the folder as it is. An adapter may come from anywhere, so its
header is checked against its configuration, and against the base model if given, before any tensor is read.
Format: https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlora.errors import ModelError
from sqlora.models.cache import disk_errors
from sqlora.models.digest import hash_file
from sqlora.models.tensor_file import read_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from sqlora.models.base import BaseModel

CONFIG, WEIGHTS, MANIFEST = "adapter_config.json", "adapter_model.safetensors", "manifest.json"
LARGEST_RANK = 1024
LARGEST_JSON = 2**24  # bytes; a manifest holds a system text with its schema
LARGEST_FILE = 4 * 2**30  # bytes; rank 1024 on every layer of a 7B model is less

_KEY = re.compile(r"base_model\.model\.(?P<module>[\w.]+)\.lora_(?P<side>[AB])\.weight")
_DTYPES = ("F32", "F16", "BF16")
# Variants of LoRA whose update is not alpha/r · B·A on whole layers; off means the key is absent or false.
_UNSUPPORTED = (
    "use_dora", "use_rslora", "use_qalora", "use_bdlora", "fan_in_fan_out", "modules_to_save", "rank_pattern",
    "alpha_pattern", "layer_replication", "target_parameters", "trainable_token_indices", "lora_bias",
)  # fmt: skip

Shapes = dict[str, tuple[int, ...]]


def save_adapter(
    folder: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any], manifest: Mapping[str, Any]
) -> None:
    """Write an adapter folder, aside then renamed; an adapter already there is replaced.

    ``config`` needs ``r``, ``lora_alpha`` and ``target_modules``; the manifest gets ``created`` and the weights'
    SHA-256. Raises ModelError when tensors and config don't fit together or the disk is full.
    """
    from safetensors.torch import save_file

    full = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "bias": "none", "inference_mode": True, **config}
    rank = _check_config(full, folder)
    _check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, rank, folder)
    aside, old = folder.with_name(f"{folder.name}.partial"), folder.with_name(f"{folder.name}.old")
    with disk_errors(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
            save_file(plain, aside / WEIGHTS, metadata={"format": "pt"})
            about = {"created": datetime.now(UTC).isoformat(timespec="seconds"), **manifest}
            _write_json(aside / CONFIG, full)
            _write_json(aside / MANIFEST, about | {"weights_sha256": hash_file(aside / WEIGHTS)})
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            aside.rename(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


def load_adapter(
    folder: Path, base: BaseModel | None = None
) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """(tensors by PEFT's names, adapter config, manifest) of a folder; the manifest is empty if there is none.

    With ``base``, the adapter must have been trained on it and each matrix must fit its layer. ModelError otherwise.
    """
    config, manifest, rank = _read_about(folder, base)
    with _checked(folder, rank, base) as file:
        tensors, _ = read_tensors(file)
        _check_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, rank, folder)
    damaged = next((name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())), None)
    if damaged:
        raise ModelError(f"{file}: {damaged} holds numbers that are not finite", "sqlora train")
    return tensors, config, manifest


def check_adapter(folder: Path, base: BaseModel) -> dict[str, Any]:
    """What `load_adapter` checks before it reads a tensor, and the weights' hash; returns the manifest with the hash.

    ModelError for an adapter that is not whole, or does not fit ``base``.
    """
    _, manifest, rank = _read_about(folder, base)
    with _checked(folder, rank, base):
        pass
    weights = {"weights_sha256": hash_file(folder / WEIGHTS)}
    if manifest.get("weights_sha256") not in (None, weights["weights_sha256"]):
        raise ModelError(f"{folder / WEIGHTS} is not the file that {MANIFEST} was written for", "sqlora train")
    return manifest | weights


def _read_about(folder: Path, base: BaseModel | None) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Configuration, manifest and rank."""
    config, manifest = _read_json(folder / CONFIG), _read_json(folder / MANIFEST, optional=True)
    rank = _check_config(config, folder)
    if base is not None and manifest.get("base_sha256") not in (None, base.sha256):
        raise ModelError(
            f"the adapter {folder} was trained on {manifest.get('base_model')}, not on this {base.name}",
            "train again on this base model, or set base_model back",
        )
    return config, manifest, rank


@contextmanager
def _checked(folder: Path, rank: int, base: BaseModel | None) -> Iterator[Path]:
    """The weights' file, once its header has been found right; what goes wrong while it is read is told too."""
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ModelError(f"{file} has {file.stat().st_size:,} bytes; no adapter is that large")
        with safe_open(file, "pt") as stored:
            slices = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118 (not a dict)
            _check_dtypes({name: part.get_dtype() for name, part in slices.items()}, folder)
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            _check_shapes(shapes, rank, folder)
            if base is not None:
                _check_fit(shapes, base, folder)
        yield file
    except FileNotFoundError as error:
        hint = " (pickled adapter_model.bin files are not read)" if (folder / "adapter_model.bin").exists() else ""
        raise ModelError(f"{folder} has no {WEIGHTS}{hint}", "sqlora train") from error
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} is damaged: {error}", "sqlora train") from error


def _check_config(config: Mapping[str, Any], folder: Path) -> int:
    """The rank, once the configuration is one that can be applied."""
    origin = folder / CONFIG
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{origin}: peft_type is {config.get('peft_type')!r}; only LORA can be applied")
    used = [key for key in _UNSUPPORTED if config.get(key)]
    if config.get("bias") not in (None, "none"):
        used.append("bias")
    if used:
        raise ModelError(
            f"{origin}: {used[0]} = {config[used[0]]!r} is a variant of LoRA that is not supported",
            "train it as plain LoRA, or merge it into the base model and use that as base_model",
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= LARGEST_RANK:
        raise ModelError(f"{origin}: r = {rank!r}; a rank is a whole number from 1 to {LARGEST_RANK}")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < float("inf"):
        raise ModelError(f"{origin}: lora_alpha = {alpha!r}; it must be a number above 0")
    return rank


def _check_dtypes(dtypes: Mapping[str, str], folder: Path) -> None:
    for name, dtype in dtypes.items():
        if dtype not in _DTYPES:
            raise ModelError(f"{folder / WEIGHTS}: {name} is stored as {dtype}; known: {', '.join(_DTYPES)}")


def _check_shapes(shapes: Shapes, rank: int, folder: Path) -> None:
    """Each layer has A [r, in] and B [out, r], and there is nothing else."""
    sides: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        match = _KEY.fullmatch(name)
        if not match:
            raise ModelError(f"{folder / WEIGHTS}: {name} is not the name of a LoRA matrix")
        at = 0 if match["side"] == "A" else 1
        if len(shape) != 2 or shape[at] != rank:
            raise ModelError(f"{folder / WEIGHTS}: {name} has shape {list(shape)}, but r = {rank} in {CONFIG}")
        sides.setdefault(match["module"], set()).add(match["side"])
    if not sides:
        raise ModelError(f"{folder / WEIGHTS} holds no matrices", "sqlora train")
    half = next((module for module, found in sides.items() if len(found) == 1), None)
    if half:
        raise ModelError(f"{folder / WEIGHTS}: {half} has only its {sides[half].pop()} matrix")


def _check_fit(shapes: Shapes, base: BaseModel, folder: Path) -> None:
    """Every layer named is in the base model, with the same widths, and one that an adapter is applied to."""
    from sqlora.models.lora import TARGETS

    layers = _layer_shapes(base)
    for name, shape in shapes.items():
        match = _KEY.fullmatch(name)
        assert match is not None  # _check_shapes came before
        layer = layers.get(match["module"])
        if layer is None or len(layer) != 2:
            raise ModelError(f"{folder / WEIGHTS}: {base.name} has no linear layer {match['module']}")
        if match["module"].rpartition(".")[2] not in TARGETS:
            raise ModelError(
                f"{folder / WEIGHTS} changes {match['module']}; adapters are applied to {', '.join(TARGETS)} only",
                "train it with these target_modules, or merge it into the base model and use that as base_model",
            )
        at = 1 if match["side"] == "A" else 0
        if shape[at] != layer[at]:
            raise ModelError(
                f"{folder / WEIGHTS}: {name} has shape {list(shape)}, but the layer in {base.name} {list(layer)}"
            )


def _layer_shapes(base: BaseModel) -> Shapes:
    """Shapes [out, in] of the base model's weights by module name, from the headers of its files."""
    from safetensors import SafetensorError, safe_open

    shapes: Shapes = {}
    for file in sorted(base.folder.glob("*.safetensors")):
        try:
            with safe_open(file, "pt") as stored:
                for name in stored.keys():  # noqa: SIM118 (not a dict)
                    shapes[name.removesuffix(".weight")] = tuple(stored.get_slice(name).get_shape())
        except SafetensorError as error:
            raise ModelError(f"{file} is damaged: {error}", "copy or download the model again") from error
    return shapes


def _read_json(file: Path, optional: bool = False) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST_JSON:
            raise ModelError(f"{file} has {file.stat().st_size:,} bytes; at most {LARGEST_JSON:,} are read")
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if optional:
            return {}
        raise ModelError(f"{file.parent} is not an adapter folder: it has no {file.name}", "sqlora train") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} can't be read: {error}", "sqlora train") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} is not a JSON object", "sqlora train")
    return content


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
