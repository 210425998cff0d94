"""An operation's output as HTTP, by its output shape.

What a handler returns is checked on the way: a member that the shape does not have, a required one that is missing or
a wrong type is a fault of sqlora's own and raises `OutputError`, which the client sees as an internal failure. So no
answer that a client's model could not read is ever sent as a success.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from sqlora.serve.aws.values import timestamp_form

Headers = dict[str, str]
JSON_TYPES = {"rest-json": "application/json", "json": "application/x-amz-json-1.1"}


class OutputError(Exception):
    """A handler returned what its output shape does not allow; the message names the member."""


@dataclass(frozen=True)
class Response:
    """Status, headers and the whole body."""

    status: int
    headers: Headers = field(default_factory=dict)
    body: bytes = b""


def respond(operation: Any, protocol: str, output: Mapping[str, Any]) -> Response:
    """The response that carries ``output``, named as the output shape's members are; OutputError."""
    shape = operation.output_shape
    status = operation.http.get("responseCode", 200)
    content_type = {"content-type": JSON_TYPES[protocol]}
    if shape is None:
        return Response(status, content_type, b"{}" if protocol == "json" else b"")
    headers, rest = split_headers(shape, output)
    payload = shape.serialization.get("payload")
    if payload is None:
        return Response(status, content_type | headers, _dump(_members(shape, rest, "")))
    _only(rest, (payload,), "")
    value = rest.get(payload)
    member = shape.members[payload]
    if member.type_name == "blob":
        if not isinstance(value, bytes):
            raise OutputError(f"{payload} must be bytes")
        return Response(status, {"content-type": "application/octet-stream"} | headers, value)
    return Response(status, content_type | headers, _dump(to_json(member, value or {}, payload)))


def split_headers(shape: Any, output: Mapping[str, Any]) -> tuple[Headers, dict[str, Any]]:
    """The members that travel as headers, and the others; None is as good as absent. OutputError."""
    headers: Headers = {}
    rest = {name: value for name, value in output.items() if value is not None}
    for name in shape.required_members:
        if name not in rest and "eventstream" not in shape.members[name].serialization:
            raise OutputError(f"{name} is required in {shape.name}")
    for name in [name for name in rest if name in shape.members]:
        member = shape.members[name]
        if member.serialization.get("location") == "header":
            headers[member.serialization["name"].lower()] = str(to_json(member, rest.pop(name), name))
    return headers, rest


def to_json(shape: Any, value: Any, where: str) -> Any:
    """``value`` as JSON has it: blobs as Base64, times in the shape's form. OutputError."""
    return _WRITERS[shape.type_name](shape, value, where)


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _structure(shape: Any, value: Any, where: str) -> Any:
    if shape.is_document_type:
        return value
    return _members(shape, _typed(value, Mapping, where), where)


def _members(shape: Any, output: Mapping[str, Any], where: str) -> dict[str, Any]:
    _only(output, shape.members, where)
    written = {
        member.serialization.get("name", name): to_json(member, output[name], f"{where}.{name}")
        for name, member in shape.members.items()
        if output.get(name) is not None
    }
    for name in shape.required_members:
        located = shape.members[name].serialization.get("location")
        if output.get(name) is None and located is None:
            raise OutputError(f"{where}.{name} is required in {shape.name}")
    if shape.is_tagged_union and len(written) != 1:
        raise OutputError(f"{where or shape.name} must have exactly one member")
    return written


def _only(output: Mapping[str, Any], names: Any, where: str) -> None:
    if unknown := [name for name in output if name not in names]:
        raise OutputError(f"there is no {where}.{unknown[0]}")


def _list(shape: Any, value: Any, where: str) -> list[Any]:
    return [to_json(shape.member, item, f"{where}.{n}") for n, item in enumerate(_typed(value, list | tuple, where))]


def _map(shape: Any, value: Any, where: str) -> dict[str, Any]:
    return {
        to_json(shape.key, key, where): to_json(shape.value, item, f"{where}.{key}")
        for key, item in _typed(value, Mapping, where).items()
    }


def _string(shape: Any, value: Any, where: str) -> Any:
    if value not in shape.metadata.get("enum", (value,)):
        raise OutputError(f"{where} cannot be {value!r}")
    return _typed(value, str, where)


def _blob(shape: Any, value: Any, where: str) -> str:
    return base64.b64encode(_typed(value, bytes, where)).decode()


def _boolean(shape: Any, value: Any, where: str) -> Any:
    return _typed(value, bool, where)


def _integer(shape: Any, value: Any, where: str) -> Any:
    if isinstance(value, bool):
        raise OutputError(f"{where} cannot be {value!r}")
    return _typed(value, int, where)


def _number(shape: Any, value: Any, where: str) -> Any:
    if isinstance(value, bool) or not math.isfinite(_typed(value, int | float, where)):
        raise OutputError(f"{where} cannot be {value!r}")
    return value


def _timestamp(shape: Any, value: Any, where: str) -> Any:
    """Of an aware `datetime`, or of ISO-8601 text such as `State` keeps; to the millisecond."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else _typed(value, datetime, where)
    except ValueError as error:
        raise OutputError(f"{where} cannot be {value!r}") from error
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    form = timestamp_form(shape)
    if form == "unixTimestamp":
        return round(time.timestamp(), 3)
    if form == "rfc822":
        return format_datetime(time, usegmt=True)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _typed(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise OutputError(f"{where} cannot be {type(value).__name__}")
    return value


_WRITERS: dict[str, Callable[[Any, Any, str], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "blob": _blob,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "integer": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
}
