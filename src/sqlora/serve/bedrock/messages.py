"""Messages of Converse and of Nova's own schema → a conversation; everything that is not text is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlora.prompting import SCHEMA_VERSION
from sqlora.serve.aws.call import AwsError

Block = Mapping[str, Any]


def invalid(message: str) -> AwsError:
    """What a client sees of a request that cannot be answered as it is."""
    return AwsError("ValidationException", message)


def conversation(system: Sequence[Block], messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The record of `sqlora.prompting` for a request; ValidationException in the service's words where it has them.

    Without a system text the record has none, and the deployment's own is asked with.
    """
    if not messages or messages[0].get("role") != "user":
        raise invalid("A conversation must start with a user message. Try again with a conversation that does.")
    turns = []
    for place, message in enumerate(messages):
        role = message.get("role")
        if role != ("assistant" if place % 2 else "user"):
            raise invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation "
                "alternates between user and assistant roles and try again."
            )
        turns.append({"role": role, "content": [{"text": _text(message.get("content") or [], f"messages.{place}")}]})
    if turns[-1]["role"] != "user":
        raise invalid("A conversation must end with a user message: the model does not continue an assistant's turn.")
    texts = [block["text"] for place, block in enumerate(system) if _is_text(block, f"system.{place}")]
    return {
        "schemaVersion": SCHEMA_VERSION,
        "system": [{"text": text} for text in texts if text.strip()],
        "messages": turns,
    }


def _text(content: Sequence[Block], where: str) -> str:
    """The text of a turn; its blocks become lines."""
    texts = []
    for place, block in enumerate(content):
        if _is_text(block, f"{where}.content.{place}"):
            if not block["text"].strip():
                raise invalid(
                    f"The text field in the ContentBlock object at {where}.content.{place} is blank. Add text to the "
                    "text field, and try again."
                )
            texts.append(block["text"])
    if not texts:
        raise invalid(
            f"The content field in the Message object at {where} is empty. Add a ContentBlock object to the content "
            "field and try again."
        )
    return "\n".join(texts)


def _is_text(block: Block, where: str) -> bool:
    """Whether it is text, which is used, or a cache point, which is not needed: every prefix is cached anyway."""
    if isinstance(text := block.get("text"), str):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise invalid(f"The text at {where} is not Unicode: it has half a surrogate pair.") from None
        return True
    if "cachePoint" in block:
        return False
    kind = next(iter(block), "empty")
    raise invalid(f"This model doesn't support the {kind} content block at {where}: it reads and writes text only.")
