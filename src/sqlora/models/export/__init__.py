"""Custom models for other runtimes: PEFT folder, merged safetensors, GGUF, Ollama.

    peft     the adapter, for ``PeftModel.from_pretrained`` and vLLM                    adapter.py
    merged   base and adapter added up, for transformers and whatever reads its folders merged.py   weights.py
    gguf     the same in one file for llama.cpp, or the adapter alone                    gguf_file.py gguf_vocabulary.py
    ollama   that, with a Modelfile: template, system text, stop, parameters             ollama.py   chat_template.py

All of them answer greedily with the tokens that `sqlora ask` gives, up to rounding: the tests compare them so.
"""

from sqlora.models.export.export import FORMATS, Exported, Format, export_model
from sqlora.models.export.source import NUMBER_FORMATS, NumberFormat, Source

__all__ = ["FORMATS", "NUMBER_FORMATS", "Exported", "Format", "NumberFormat", "Source", "export_model"]
