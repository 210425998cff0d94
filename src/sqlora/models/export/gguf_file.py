"""Base model and adapter in one GGUF file, or the adapter alone, for llama.cpp and what is built on it.

Written tensor by tensor, so that memory holds one of them.
Sources: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, llama.cpp's convert_hf_to_gguf.py and
convert_lora_to_gguf.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlora.models.export.gguf_layout import Layout
from sqlora.models.export.gguf_vocabulary import Vocabulary, read_vocabulary
from sqlora.models.export.source import NumberFormat
from sqlora.models.export.weights import Weights, check_f16

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter
    from torch import Tensor

# general.file_type (gguf.LlamaFileType): how the matrices are stored; vectors are float32 in all of them.
FILE_TYPES: dict[NumberFormat, int] = {"f32": 0, "f16": 1, "q8_0": 7, "bf16": 32}
QUANTIZATION_VERSION = 2  # gguf.GGML_QUANT_VERSION: of the blocks' layout


@dataclass(frozen=True)
class _Entry:
    """A tensor of the file, read when its turn comes."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


def write_gguf(weights: Weights, file: Path, numbers: NumberFormat) -> None:
    """The whole model. ModelError for an architecture or a tokenizer that is not known here."""
    base = weights.source.base
    layout = Layout(base)
    vocabulary = read_vocabulary(base, layout.vocabulary_size)

    def read(name: str) -> np.ndarray:
        return layout.ordered(name, _array(weights.tensor(name)))

    entries = [
        _Entry(layout.place(name), shape, partial(read, name))
        for name, shape in weights.shapes().items()
        if not (layout.tied and name == "lm_head.weight")  # the embedding, stored a second time
    ]
    writer = _writer(file, layout.architecture, "model", weights.source.name)
    writer.add_file_type(FILE_TYPES[numbers])
    writer.add_quantization_version(QUANTIZATION_VERSION)
    layout.describe(writer)
    _add_vocabulary(writer, vocabulary)
    _write(writer, entries, numbers)


def write_gguf_adapter(weights: Weights, file: Path, numbers: NumberFormat) -> None:
    """The adapter alone, to be loaded over the base model's own file (``llama-cli --lora``)."""
    layout = Layout(weights.source.base)
    entries = []
    for layer in weights.layers:
        a, b = weights.update(layer)
        name = layout.place(f"{layer}.weight")
        entries.append(_Entry(f"{name}.lora_a", tuple(a.shape), partial(_array, a)))
        rows = partial(layout.ordered, f"{layer}.weight", _array(b))  # the rows of B are those of the layer
        entries.append(_Entry(f"{name}.lora_b", tuple(b.shape), rows))
    writer = _writer(file, layout.architecture, "adapter", weights.source.name)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", weights.alpha)
    _write(writer, entries, numbers)


def _writer(file: Path, architecture: str, kind: str, name: str) -> GGUFWriter:
    from gguf import GGUFWriter

    writer = GGUFWriter(file, architecture)
    writer.add_type(kind)
    writer.add_name(name)
    return writer


def _add_vocabulary(writer: GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    writer.add_add_bos_token(False)  # the chat template writes what a prompt begins with
    for name, id in vocabulary.special.items():
        getattr(writer, f"add_{name}_token_id")(id)
    writer.add_chat_template(vocabulary.chat_template)


def _write(writer: GGUFWriter, entries: Sequence[_Entry], numbers: NumberFormat) -> None:
    """Header, then the tensors in the same order."""
    from gguf.quants import quant_shape_to_byte_shape, quantize

    try:
        kinds = [_kind(entry.shape, numbers) for entry in entries]
        for entry, kind in zip(entries, kinds, strict=True):
            stored = quant_shape_to_byte_shape(entry.shape, kind)
            size = 1
            for length in stored:
                size *= length
            writer.add_tensor_info(entry.name, stored, _byte(), size, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for entry, kind in zip(entries, kinds, strict=True):
            array = entry.read()
            if kind.name == "F16":
                check_f16(entry.name, array)
            writer.write_tensor_data(quantize(array, kind))
    finally:
        writer.close()


def _kind(shape: tuple[int, ...], numbers: NumberFormat) -> GGMLQuantizationType:
    """How a tensor is stored: vectors as float32, rows that Q8_0 cannot cut into its blocks of 32 as float16."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    kind = GGMLQuantizationType["F32" if len(shape) == 1 else numbers.upper()]
    return GGMLQuantizationType.F16 if shape[-1] % GGML_QUANT_SIZES[kind][0] else kind


def _byte() -> np.dtype[np.uint8]:
    import numpy as np

    return np.dtype(np.uint8)


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.float().contiguous().numpy()
    return array
