"""What the service takes as a training record: one line of a ``bedrock-conversation-2024`` file, checked.

Rules: "Preparing data for fine-tuning understanding models" in the Nova user guide, and AWS's own validator
(aws-samples/amazon-nova-samples, nova_ft_dataset_validator.py), which compares the forbidden words without case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from sqlora.errors import DatasetError

# They separate the turns in the model's own format, so a record that holds one would teach a wrong turn.
FORBIDDEN = ("System:", "User:", "Bot:", "Assistant:", "Thought:", "<image>", "<video>", "[EOS]", "<unk>")
_FORBIDDEN = re.compile("|".join(re.escape(word) for word in FORBIDDEN), re.IGNORECASE)
ROLES = ("user", "assistant")
FEWEST, MOST = 8, 20_000  # training records; training and validation records together


def read_conversation(line: bytes, where: str) -> dict[str, Any]:
    """The record on a line: ``schemaVersion`` and ``system`` where given, and ``messages``; anything else is dropped.

    DatasetError names ``where`` ("s3://bucket/train.jsonl line 3") and what is wrong there.
    """
    try:
        return _conversation(read_object(line))
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from None


def read_object(line: bytes) -> dict[str, Any]:
    """The JSON object on a line; ValueError says what is wrong with it."""
    try:
        found = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"the record is not UTF-8 text (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the record is not JSON: {error.msg} (column {error.colno})") from None
    except (RecursionError, ValueError):  # nested deeper than any record; a number of thousands of digits
        raise ValueError("the record is not JSON that can be read") from None
    if not isinstance(found, dict):
        raise ValueError("the record is not a JSON object")
    return found


def _conversation(found: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if "schemaVersion" in found:
        if not isinstance(found["schemaVersion"], str):
            raise ValueError("schemaVersion is not a string")
        record["schemaVersion"] = _text(found["schemaVersion"], "schemaVersion")
    if found.get("system") is not None:
        record["system"] = _blocks(found["system"], "system")
    record["messages"] = _messages(found.get("messages"))
    return record


def _messages(found: Any) -> list[dict[str, Any]]:
    if not isinstance(found, list) or len(found) < 2:
        raise ValueError("messages is not a list of at least one user turn and one assistant turn")
    messages = []
    for place, message in enumerate(found):
        if not isinstance(message, dict):
            raise ValueError(f"messages[{place}] is not an object")
        wanted = ROLES[place % 2]
        if message.get("role") != wanted:
            raise ValueError(
                f"messages[{place}].role is {_shown(message.get('role'))}, not {wanted!r}: "
                "turns alternate, and the user begins"
            )
        messages.append({"role": wanted, "content": _blocks(message.get("content"), f"messages[{place}].content")})
    if len(messages) % 2:
        raise ValueError("the last turn is not the assistant's")
    return messages


def _blocks(found: Any, where: str) -> list[dict[str, str]]:
    if not isinstance(found, list) or not found:
        raise ValueError(f"{where} is not a list of text blocks")
    blocks = []
    for place, block in enumerate(found):
        if not isinstance(block, dict) or set(block) != {"text"} or not isinstance(block["text"], str):
            kinds = f": {', '.join(map(_shown, block))}" if isinstance(block, dict) and block else ""
            raise ValueError(f'{where}[{place}] is not {{"text": "…"}}, and this model takes text only{kinds}')
        blocks.append({"text": _text(block["text"], f"{where}[{place}].text")})
    return blocks


def _text(text: str, where: str) -> str:
    if not text.strip():
        raise ValueError(f"{where} is empty")
    if found := _FORBIDDEN.search(text):
        raise ValueError(f"{where} contains {found[0]!r}, which is not allowed; forbidden: {' '.join(FORBIDDEN)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} contains half a surrogate pair (character {error.start + 1})") from None
    return text


def system_of(record: dict[str, Any]) -> str:
    """The record's system text; empty where it has none."""
    return "\n".join(texts(record.get("system", [])))


def texts(blocks: list[dict[str, str]]) -> Iterator[str]:
    """The texts of content blocks."""
    return (block["text"] for block in blocks)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
