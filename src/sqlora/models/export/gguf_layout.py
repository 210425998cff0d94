"""What a GGUF file says of a model's configuration, and where it puts the model's tensors.

The inverse of what `sqlora.models.convert` reads; so is the set of architectures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlora.errors import ModelError
from sqlora.models.base import BaseModel
from sqlora.models.convert import ARCHITECTURES, gguf_name, pairs

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFWriter


class Layout:
    """Of one base model. ModelError for an architecture that is not known here."""

    def __init__(self, base: BaseModel) -> None:
        self._base, self._config = base, base.config
        self.architecture = str(base.config["model_type"])
        if self.architecture not in ARCHITECTURES:
            raise self._refused(f"a {self.architecture!r} model; known here: {', '.join(ARCHITECTURES)}")
        rope = self._rope()
        if rope.get("rope_type", rope.get("type", "default")) != "default":
            raise self._refused("its rotary positions are scaled")
        if self._value("hidden_act") != "silu":
            raise self._refused(f"its activation is {self._value('hidden_act')!r}, not silu")

    @property
    def tied(self) -> bool:
        """Whether the embedding is the output layer too."""
        return bool(self._config.get("tie_word_embeddings", False))

    @property
    def vocabulary_size(self) -> int:
        """Rows of the embedding."""
        return int(self._value("vocab_size"))

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        return int(self._value("max_position_embeddings"))

    def describe(self, writer: GGUFWriter) -> None:
        """Sizes, positions and norms."""
        heads = self._heads("q")
        writer.add_vocab_size(self.vocabulary_size)
        writer.add_context_length(self.context)
        writer.add_embedding_length(int(self._value("hidden_size")))
        writer.add_block_count(int(self._value("num_hidden_layers")))
        writer.add_feed_forward_length(int(self._value("intermediate_size")))
        writer.add_head_count(heads)
        writer.add_head_count_kv(self._heads("k"))
        width = int(self._config.get("head_dim") or int(self._value("hidden_size")) // heads)
        writer.add_key_length(width)
        writer.add_value_length(width)
        writer.add_rope_dimension_count(width)
        writer.add_rope_freq_base(float(self._rope().get("rope_theta") or self._config.get("rope_theta") or 10000.0))
        writer.add_layer_norm_rms_eps(float(self._value("rms_norm_eps")))

    def place(self, name: str) -> str:
        """A tensor's name in GGUF; ModelError for one that has no place."""
        found = gguf_name(name)
        if found is None:
            raise self._refused(f"it has a tensor that its architecture has no place for, {name}")
        return found

    def ordered(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The tensor (or the B of its adapter) with its rows in GGUF's order."""
        layer = name.rpartition(".")[0]
        if self.architecture == "llama" and layer.endswith((".q_proj", ".k_proj")):
            return pairs(rows, self._heads(layer[-6]))
        return rows

    def _heads(self, side: str) -> int:
        heads = int(self._value("num_attention_heads"))
        return heads if side == "q" else int(self._config.get("num_key_value_heads") or heads)

    def _rope(self) -> dict[str, Any]:
        return self._config.get("rope_parameters") or self._config.get("rope_scaling") or {}

    def _value(self, key: str) -> Any:
        found = self._config.get(key)
        if found is None:
            raise ModelError(f"{self._base.folder / 'config.json'} does not say its {key}", "copy the model again")
        return found

    def _refused(self, why: str) -> ModelError:
        return ModelError(
            f"{self._base.name} can't be written as GGUF: {why}",
            "--format merged, and llama.cpp's own convert_hf_to_gguf.py on that folder",
        )
