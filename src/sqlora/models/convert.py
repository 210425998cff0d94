"""A GGUF file → the folder that transformers reads: config.json, model.safetensors, tokenizer.

GGUF stores quantized blocks, its own tensor names, and for Llama the rows of the query and key projections in
another order (llama.cpp rotates neighbouring pairs, transformers rotates halves); all three are undone here.
Sources: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's convert_hf_to_gguf.py
(``LlamaModel.permute``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlora.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

ARCHITECTURES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}

_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert_gguf(source: Path, folder: Path, progress: Callable[[str], None] | None = None) -> None:
    """Write ``source`` as a model folder into the existing ``folder``; ModelError when it can't be.

    Quantized weights are stored in bfloat16, the format models are published in: a machine that computes in float32
    then sees exactly the weights of one that computes in bfloat16, and a load takes 1.7 s where float32 took 3.7.
    The rounding moves SmolLM2's logits by 0.03 on average (their spread is 5.3) and no argmax in the tests; the
    quantization itself moved them by far more. Unquantized files keep their own format.
    """
    from sqlora.models.tokenizer import write_tokenizer

    metadata, tensors = _read(source)
    config = _config(metadata, tensors, source)
    if progress:
        progress(f"converting {source.name}: {len(tensors)} tensors")
    _write_weights(config, tensors, folder / "model.safetensors", source)
    _write_json(folder / "config.json", config)
    special: dict[str, Any] = {
        key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if key in config
    }
    _write_json(folder / "generation_config.json", {"_from_model_config": True, **special})
    write_tokenizer(metadata, folder, source)


def _read(source: Path) -> tuple[dict[str, Any], list[Any]]:
    import numpy as np
    from gguf import GGUFReader

    class PlainReader(GGUFReader):  # type: ignore[misc]
        """Views of the mapped file as plain arrays: a quarter of a million numpy.memmap slices take seconds."""

        @property
        def data(self) -> np.ndarray:
            return self._plain

        @data.setter
        def data(self, mapped: np.ndarray) -> None:
            self._plain = mapped.view(np.ndarray)

    try:
        reader = PlainReader(source)
        metadata = {name: field.contents() for name, field in reader.fields.items()}
    except FileNotFoundError as error:
        raise ModelError(f"no such file: {source}") from error
    except (ValueError, IndexError, KeyError, UnicodeDecodeError, OverflowError) as error:
        # GGUFReader checks little of a damaged file; what it trips over depends on where the damage is.
        raise ModelError(f"{source} is not a GGUF file, or a damaged one: {error}", "download it again") from error
    return metadata, list(reader.tensors)


def _config(metadata: dict[str, Any], tensors: list[Any], source: Path) -> dict[str, Any]:
    """config.json's content, from GGUF's metadata."""
    kind = str(metadata.get("general.architecture"))
    if kind not in ARCHITECTURES:
        raise ModelError(
            f"{source} holds a {kind!r} model; known architectures of GGUF files: {', '.join(ARCHITECTURES)}",
            "give the model's safetensors folder or hub id as base_model instead",
        )

    def value(name: str, default: Any = None) -> Any:
        found = metadata.get(f"{kind}.{name}", default)
        if found is None:
            raise ModelError(f"{source} does not say its {kind}.{name}", "convert the file anew with llama.cpp")
        return found

    if metadata.get(f"{kind}.rope.scaling.type") not in (None, "none"):
        raise ModelError(
            f"{source} scales its rotary positions, which GGUF describes only in part",
            "give the model's safetensors folder or hub id as base_model instead",
        )
    hidden, heads = int(value("embedding_length")), int(value("attention.head_count"))
    theta = float(value("rope.freq_base", 10000.0))
    shapes = {tensor.name: tuple(int(size) for size in reversed(tensor.shape)) for tensor in tensors}
    config: dict[str, Any] = {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        "vocab_size": shapes.get("token_embd.weight", (0,))[0],
        "hidden_size": hidden,
        "intermediate_size": int(value("feed_forward_length")),
        "num_hidden_layers": int(value("block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(value("attention.head_count_kv", heads)),
        "head_dim": int(value("attention.key_length", hidden // heads)),
        "hidden_act": "silu",
        "max_position_embeddings": int(value("context_length")),
        "rms_norm_eps": _shortest(value("attention.layer_norm_rms_epsilon")),
        # transformers 5 reads rope_parameters, everything older and other runtimes rope_theta.
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "tie_word_embeddings": "output.weight" not in shapes,
        "attention_bias": "blk.0.attn_q.bias" in shapes,
        "mlp_bias": False,
        "dtype": _storage(tensors),
    }
    for name, key in (("bos", "bos_token_id"), ("eos", "eos_token_id"), ("padding", "pad_token_id")):
        if (number := metadata.get(f"tokenizer.ggml.{name}_token_id")) is not None:
            config[key] = int(number)
    return config


def _storage(tensors: list[Any]) -> str:
    """The number format to store: the matrices' own where they all have it, else bfloat16."""
    formats = {tensor.tensor_type.name for tensor in tensors if len(tensor.shape) > 1}
    return {"F32": "float32", "F16": "float16"}.get(formats.pop(), "bfloat16") if len(formats) == 1 else "bfloat16"


def _shortest(number: float) -> float:
    """1e-05 for the float32 value 9.999999747378752e-06, which GGUF stores."""
    import numpy as np

    return float(str(np.float32(number)))


def _write_weights(config: dict[str, Any], tensors: list[Any], file: Path, source: Path) -> None:
    """Dequantize tensor by tensor into one safetensors file."""
    import torch
    from gguf.quants import dequantize
    from safetensors.torch import save_file

    state: dict[str, torch.Tensor] = {}
    for tensor in tensors:
        name = _name(tensor.name, source)
        try:
            weight = dequantize(tensor.data, tensor.tensor_type)  # float32, shape [out, in]
        except NotImplementedError as error:
            raise ModelError(
                f"{source}: tensor {tensor.name} is stored as {tensor.tensor_type.name}, which can't be read",
                "use the file's Q8_0, Q4_0, Q4_K or F16 variant",
            ) from error
        if config["model_type"] == "llama":
            if name.endswith(("q_proj.weight", "q_proj.bias")):
                weight = _halves(weight, config["num_attention_heads"])
            elif name.endswith(("k_proj.weight", "k_proj.bias")):
                weight = _halves(weight, config["num_key_value_heads"])
        state[name] = torch.from_numpy(weight.copy()).to(getattr(torch, config["dtype"]))
    save_file(state, file, metadata={"format": "pt"})


def _name(gguf_name: str, source: Path) -> str:
    """``model.layers.3.self_attn.q_proj.weight`` for ``blk.3.attn_q.weight``."""
    head, _, kind = gguf_name.rpartition(".")
    if head in _TOP:
        return f"{_TOP[head]}.{kind}"
    block, _, rest = head.removeprefix("blk.").partition(".")
    if head.startswith("blk.") and block.isdigit() and rest in _BLOCK:
        return f"model.layers.{block}.{_BLOCK[rest]}.{kind}"
    raise ModelError(
        f"{source} has a tensor with no place in its architecture: {gguf_name}",
        "give the model's safetensors folder or hub id as base_model instead",
    )


def gguf_name(name: str) -> str | None:
    """``blk.3.attn_q.weight`` for ``model.layers.3.self_attn.q_proj.weight``; None for what GGUF has no place for."""
    head, _, kind = name.rpartition(".")
    block, _, rest = head.removeprefix("model.layers.").partition(".")
    if head.startswith("model.layers.") and block.isdigit():
        found = next((own for own, theirs in _BLOCK.items() if theirs == rest), None)
        return found and f"blk.{block}.{found}.{kind}"
    found = next((own for own, theirs in _TOP.items() if theirs == head), None)
    return found and f"{found}.{kind}"


def _halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from pairs (0,1), (2,3), … back to halves (0, d/2), (1, d/2+1), …; [heads·d, in]."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, half, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def pairs(weight: np.ndarray, heads: int) -> np.ndarray:
    """The other way: rows of each head from halves to neighbouring pairs, as llama.cpp rotates them; [heads·d, …]."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
