"""One value of the wire against its shape: read as the shape's type, with every constraint that the model states.

Types are read here, where they may be refused; what is wrong is collected as the service words it, so that a caller
sees all of it at once.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

from sqlora.serve.aws.pattern import matches

LONGEST_SHOWN = 200  # characters of a value that an error repeats
MOST_SHOWN = 10  # faults that an error lists

_INTEGERS = {"integer": 32, "long": 64}


class _TypeFault(Exception):
    """A value that is not of its shape's type; the message says which type that is."""


class Values:
    """Reads values; `faults` is what was wrong with them."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._readers: dict[str, Callable[[Any, Any, str], Any]] = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
            "string": self._string,
            "blob": self._blob,
            "boolean": self._boolean,
            "timestamp": self._timestamp,
            **dict.fromkeys(("integer", "long"), self._integer),
            **dict.fromkeys(("float", "double"), self._number),
        }

    def read(self, shape: Any, value: Any, where: str) -> Any:
        """``value``, parsed from JSON, as the shape's Python type; what is wrong with it is added to `faults`."""
        try:
            read = self._readers[shape.type_name](shape, value, where)
        except _TypeFault as fault:
            self._fault(shape, value, where, str(fault))
            return None
        self._check_size(shape, read, where)
        return read

    def read_text(self, shape: Any, text: str, where: str) -> Any:
        """The same for a value out of a path, a query or a header."""
        kind = shape.type_name
        value: Any = text
        if kind == "boolean":
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif kind in _INTEGERS or kind in ("float", "double"):
            value = _number(text)
        return self.read(shape, value, where)

    def require(self, name: str, where: str) -> None:
        """Note that a required member is missing."""
        self.faults.append(
            f"Value null at '{_within(where, name)}' failed to satisfy constraint: Member must not be null"
        )

    def message(self) -> str:
        """All faults in the service's words."""
        count = len(self.faults)
        shown = "; ".join(self.faults[:MOST_SHOWN]) + ("; …" if count > MOST_SHOWN else "")
        return f"{count} validation error{'s' if count > 1 else ''} detected: {shown}"

    def _fault(self, shape: Any, value: Any, where: str, constraint: str) -> None:
        shown = "***" if shape.metadata.get("sensitive") else _shown(value)
        self.faults.append(f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}")

    # types --------------------------------------------------------------------------------------------------------

    def _structure(self, shape: Any, value: Any, where: str) -> Any:
        if shape.is_document_type:  # any JSON at all
            return value
        return self.members(shape, shape.members, _typed(value, dict, "a structure"), where)

    def members(self, shape: Any, members: Mapping[str, Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Those of a structure's ``members`` that JSON gave; unknown names and nulls are passed over, as AWS does."""
        read: dict[str, Any] = {}
        for name, member in members.items():
            value = given.get(member.serialization.get("name", name))
            if value is not None:
                read[name] = self.read(member, value, _within(where, name))
            elif name in shape.required_members:
                self.require(name, where)
        if shape.is_tagged_union and len(read) != 1:
            self.faults.append(
                f"Value at '{where}' failed to satisfy constraint: Exactly one member must be set of: "
                f"{', '.join(shape.members)}"
            )
        return read

    def _list(self, shape: Any, value: Any, where: str) -> list[Any]:
        items: list[Any] = _typed(value, list, "a list")
        if self._oversized(shape, len(items)):  # the size is refused; a million elements need not be looked at
            return items
        return [self._element(shape.member, item, f"{where}.{n}.member") for n, item in enumerate(items, 1)]

    def _map(self, shape: Any, value: Any, where: str) -> dict[str, Any]:
        items: dict[str, Any] = _typed(value, dict, "a map")
        if self._oversized(shape, len(items)):
            return items
        return {
            self.read(shape.key, key, f"{where}.key"): self._element(shape.value, item, f"{where}.{_shown(key)}.value")
            for key, item in items.items()
        }

    def _element(self, shape: Any, value: Any, where: str) -> Any:
        if value is None:
            self.faults.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
            return None
        return self.read(shape, value, where)

    def _string(self, shape: Any, value: Any, where: str) -> str:
        text: str = _typed(value, str, "a string")
        enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if enum and text not in enum:
            self._fault(shape, text, where, f"Member must satisfy enum value set: [{', '.join(enum)}]")
        elif pattern and not self._oversized(shape, len(text)) and not matches(pattern, text):
            self._fault(shape, text, where, f"Member must satisfy regular expression pattern: {pattern}")
        return text

    def _blob(self, shape: Any, value: Any, where: str) -> bytes:
        if isinstance(value, bytes):  # a raw payload
            return value
        try:
            return base64.b64decode(_typed(value, str, "a blob"), validate=True)
        except (binascii.Error, ValueError):
            raise _TypeFault("Member must be Base64") from None

    def _boolean(self, shape: Any, value: Any, where: str) -> bool:
        flag: bool = _typed(value, bool, "a boolean")
        return flag

    def _integer(self, shape: Any, value: Any, where: str) -> int:
        if isinstance(value, float) and value.is_integer():  # JSON does not tell 3 from 3.0
            value = int(value)
        bits = _INTEGERS[shape.type_name]
        if isinstance(value, bool) or not isinstance(value, int) or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise _TypeFault(f"Member must be an integer of {bits} bits")
        return value

    def _number(self, shape: Any, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _TypeFault("Member must be a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise _TypeFault("Member must be a finite number")
        return number

    def _timestamp(self, shape: Any, value: Any, where: str) -> datetime:
        return read_timestamp(value, timestamp_form(shape))

    # sizes --------------------------------------------------------------------------------------------------------

    def _oversized(self, shape: Any, size: int) -> bool:
        most = shape.metadata.get("max")
        return most is not None and size > most

    def _check_size(self, shape: Any, value: Any, where: str) -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if shape.type_name == "structure" or value is None:
            return
        sized = isinstance(value, str | bytes | list | dict)
        size = len(value) if sized else value
        if not isinstance(size, int | float):
            return
        what = "length" if sized else "value"
        if least is not None and size < least:
            self._fault(shape, value, where, f"Member must have {what} greater than or equal to {least}")
        if most is not None and size > most:
            self._fault(shape, value, where, f"Member must have {what} less than or equal to {most}")


def timestamp_form(shape: Any) -> str:
    """How a timestamp is written: as its shape says, else by where it travels."""
    default = {"header": "rfc822", "querystring": "iso8601"}.get(shape.serialization.get("location"), "unixTimestamp")
    form: str = shape.serialization.get("timestampFormat", default)
    return form


def read_timestamp(value: Any, form: str) -> datetime:
    """An aware time out of epoch seconds (``unixTimestamp``), ``iso8601`` or ``rfc822`` text."""
    try:
        if form == "unixTimestamp":
            if isinstance(value, bool) or not isinstance(value, int | float):
                _no_time(form)
            return datetime.fromtimestamp(value, UTC)
        text = _typed(value, str, "a timestamp")
        time = datetime.fromisoformat(text) if form == "iso8601" else parsedate_to_datetime(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        _no_time(form)


def _no_time(form: str) -> NoReturn:
    raise _TypeFault(f"Member must be a timestamp ({form})")


def _typed(value: Any, kind: type, called: str) -> Any:
    if not isinstance(value, kind):
        raise _TypeFault(f"Member must be {called}")
    return value


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            # int() and float() also take spaces, underscores and digits of other scripts, which no service does
            return kind(text) if text.isascii() and not set(text) & set(" _\t\n\r\f\v") else text
        except ValueError:
            continue
    return text


def _within(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list | dict):  # sizes say enough, and what is within may be sensitive
        return f"{len(value)} elements"
    text = str(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
