"""A request's parameters, gathered from path, query, headers and body as the operation's input shape says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.values import Values
from sqlora.serve.json_text import read_json

MOST_QUERY_FIELDS = 100
_ABSENT: Any = object()


def parse(
    operation: Any, protocol: str, path: Mapping[str, str], query: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """The parameters by member name, every constraint of the model checked.

    ``operation`` is botocore's OperationModel, ``path`` the labels' values, ``query`` the raw query string; header
    names are lower-case. Raises AwsError: SerializationException for a body that is no JSON object,
    ValidationException that lists everything wrong with the parameters.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    values = Values()
    if protocol == "rest-json":
        params = _rest(values, shape, path, _fields(query), headers, body)
    else:
        params = values.members(shape, shape.members, _document(body), "")
    if values.faults:
        raise AwsError("ValidationException", values.message())
    return params


def _rest(
    values: Values,
    shape: Any,
    path: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    params: dict[str, Any] = {}
    in_body: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = member.serialization.get("name", name)
        if name == payload:
            given = _payload(values, member, body, name)
        elif location == "uri":
            given = values.read_text(member, path[wire_name], name) if wire_name in path else _ABSENT
        elif location == "querystring":
            given = _query(values, member, query.get(wire_name, []), name)
        elif location == "header":
            text = headers.get(wire_name.lower())
            given = values.read_text(member, text, name) if text is not None else _ABSENT
        else:
            in_body[name] = member
            continue
        if given is not _ABSENT:
            params[name] = given
        elif name in shape.required_members:
            values.require(name, "")
    if in_body:
        params |= values.members(shape, in_body, _document(body), "")
    return params


def _payload(values: Values, member: Any, body: bytes, name: str) -> Any:
    """A body that is one member: raw bytes, or the JSON of a structure."""
    if member.type_name == "blob":
        return values.read(member, body, name)
    return values.read(member, _document(body), name) if body else _ABSENT


def _query(values: Values, member: Any, given: list[str], name: str) -> Any:
    if not given:
        return _ABSENT
    if member.type_name == "list":
        return [values.read_text(member.member, text, f"{name}.{n}.member") for n, text in enumerate(given, 1)]
    return values.read_text(member, given[-1], name)


def _fields(query: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS)
    except ValueError as error:
        raise AwsError("SerializationException", f"The query string has over {MOST_QUERY_FIELDS} fields.") from error
    for name, text in pairs:
        fields.setdefault(name, []).append(text)
    return fields


def _document(body: bytes) -> dict[str, Any]:
    """The JSON object in the body; none at all is an empty one, as the service has it."""
    if not body.strip():
        return {}
    try:
        body.decode()  # JSON is UTF-8 on the wire; the parser would also guess at others
        value = read_json(body)
    except ValueError as error:
        raise AwsError("SerializationException", f"The request's body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise AwsError("SerializationException", "The request's body is not a JSON object.")
    return value
