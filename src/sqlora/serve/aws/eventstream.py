"""Event streams: ``application/vnd.amazon.eventstream`` frames of an operation's events and exceptions.

A frame is (big-endian; Smithy, "Amazon Event Stream Specification")

    u32 total length | u32 headers length | u32 CRC32 of the first 8 bytes | headers | payload | u32 CRC32 of all before

and a header is ``u8 name length | name | u8 type (7: string) | u16 value length | value``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.response import OutputError, to_json

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7
_IN_STREAM = {"ModelErrorException": "ModelStreamErrorException"}


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame, with both checksums."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    front = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return front + struct.pack(">I", crc32(front))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(">B", len(key)) + key + struct.pack(">BH", _STRING, len(text)) + text


def event(stream: Any, name: str, members: Mapping[str, Any]) -> bytes:
    """The frame of an event of ``stream`` (a shape of botocore's model); OutputError for what it does not have."""
    shape = stream.members.get(name)
    if shape is None or shape.metadata.get("exception"):
        raise OutputError(f"{stream.name} has no event {name!r}")
    return _json_frame({":event-type": name, ":message-type": "event"}, to_json(shape, members, name))


def exception(stream: Any, error: AwsError) -> bytes:
    """The frame that ends a stream with ``error`` (with its status); a code that streams don't have as one they do."""
    known = {shape.name: name for name, shape in stream.members.items() if shape.metadata.get("exception")}
    code = _IN_STREAM.get(error.code, error.code)
    if code not in known:
        code = "ValidationException" if (error.status or 400) < 500 else "InternalServerException"
    shape = stream.members[known[code]]
    members = {"message": error.message} | {k: v for k, v in error.members.items() if k in shape.members}
    return _json_frame({":exception-type": known[code], ":message-type": "exception"}, to_json(shape, members, ""))


def _json_frame(headers: dict[str, str], value: Any) -> bytes:
    payload = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return frame({**headers, ":content-type": "application/json"}, payload)
