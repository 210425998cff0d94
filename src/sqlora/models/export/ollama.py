"""A Modelfile: how Ollama is to ask a GGUF file. Format: https://docs.ollama.com/modelfile"""

from __future__ import annotations

from sqlora.errors import ModelError
from sqlora.models.export.chat_template import go_template, read_frame
from sqlora.models.export.gguf_layout import Layout
from sqlora.models.export.gguf_vocabulary import answer_ends
from sqlora.models.export.source import Source

MODELFILE = "Modelfile"
LARGEST_CONTEXT = 8192  # tokens that Ollama keeps memory for; its own default may be less than a schema needs
ANSWER_TOKENS = 256  # as `sqlora ask`


def modelfile(source: Source, model: str, adapter: str | None = None) -> str:
    """The text for a GGUF file beside it, and perhaps an adapter's. ModelError for what a Modelfile cannot hold."""
    tokenizer = source.base.load_tokenizer()
    lines = [f"# {source.name}: ollama create {source.name} -f {MODELFILE}", f"FROM ./{model}"]
    if adapter is not None:
        lines.append(f"ADAPTER ./{adapter}")
    lines.append(f"TEMPLATE {_quoted(go_template(read_frame(tokenizer)), 'chat template')}")
    if source.system:
        lines.append(f"SYSTEM {_quoted(source.system, 'system text')}")
    parameters: list[tuple[str, object]] = [
        ("stop", f'"{tokenizer.convert_ids_to_tokens(id)}"') for id in answer_ends(source.base, tokenizer)
    ]
    parameters += [
        ("temperature", 0),
        ("repeat_penalty", 1.0),  # Ollama's own 1.1 forbids what SQL is full of
        ("num_ctx", min(Layout(source.base).context, LARGEST_CONTEXT)),
        ("num_predict", ANSWER_TOKENS),
    ]
    lines += [f"PARAMETER {name} {value}" for name, value in parameters]
    return "\n".join(lines) + "\n"


def _quoted(text: str, what: str) -> str:
    '''In """, within which Ollama's parser takes all for text up to a line that ends with another """.'''
    lost = next((letter for letter in text if not letter.isprintable() and letter not in "\n\t\r"), None)
    if lost is not None or any(line.endswith('"""') for line in text.splitlines()):
        why = "a line that ends with three quotation marks" if lost is None else f"the character U+{ord(lost):04X}"
        raise ModelError(
            f"the {what} has {why}, which a Modelfile loses",
            "take it out of the schema or the glossary, or --format gguf",
        )
    return f'"""{text}"""'
