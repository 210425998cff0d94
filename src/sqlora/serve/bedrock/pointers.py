"""JSON pointers (RFC 6901) of ``additionalModelResponseFieldPaths`` → the fields of a model's own answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlora.serve.bedrock.messages import invalid

_POINTER = re.compile(r"(/([^~/]|~[01])+)+")
LONGEST = 256


def pick(answer: dict[str, Any], pointers: Sequence[str]) -> dict[str, Any]:
    """The fields, by the last step of their pointers; those that the answer lacks are left out, as the service does.

    ValidationException for what is no pointer.
    """
    found = {}
    for pointer in pointers:
        if len(pointer) > LONGEST or not _POINTER.fullmatch(pointer):
            raise invalid(f"{pointer[:80]!r} in additionalModelResponseFieldPaths is not a JSON pointer.")
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        value: Any = answer
        for step in steps:
            if isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
                value = value[int(step[:9])]
            else:
                value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            found[steps[-1]] = value
    return found
