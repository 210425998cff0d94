"""The adapter as a folder that stock PEFT, vLLM and `sqlora models import` read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from sqlora.models.adapter import CONFIG, MANIFEST, WEIGHTS, load_adapter
from sqlora.models.export.source import Source


def write_peft(source: Source, folder: Path) -> None:
    """Configuration, weights and manifest, the system text in it. ModelError for an adapter that is not whole.

    Nothing is computed: the file of the weights is copied as it is, once it was read and found to fit the base model.
    """
    assert source.adapter is not None
    _, config, manifest = load_adapter(source.adapter, source.base)
    shutil.copyfile(source.adapter / WEIGHTS, folder / WEIGHTS)
    about = {**manifest, "model_name": source.name, "base_model": source.base.name, "base_sha256": source.base.sha256}
    if source.system:
        about["system"] = source.system
    for name, content in ((CONFIG, {**config, "base_model_name_or_path": source.base.name}), (MANIFEST, about)):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
