"""The judge of every answer: is a parsed response what botocore's own model says it is?

Written against botocore's shapes alone, apart from `sqlora.serve.aws`, whose faults it is to find: required members,
types, enumerations, patterns, sizes and unions, at any depth. Patterns are matched by the linear engine, which is not
sqlora's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from botocore.eventstream import EventStream
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.response import StreamingBody

from sqlora.serve.aws.errors import COMMON
from sqlora.serve.aws.pattern import matches

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "blob": (bytes, StreamingBody),
    "timestamp": datetime,
    "list": list,
    "map": Mapping,
    "structure": Mapping,
}


@cache
def model(service: str) -> Any:
    """botocore's ServiceModel of the service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def validate_output(service: str, operation: str, response: Mapping[str, Any]) -> None:
    """AssertionError that lists everything wrong with ``response``, as boto3 returned it."""
    operation_model = model(service).operation_model(operation)
    given = {name: value for name, value in response.items() if name != "ResponseMetadata"}
    problems = list(_structure(operation_model.output_shape, given, operation)) if operation_model.output_shape else []
    metadata = response.get("ResponseMetadata", {})
    expected = operation_model.http.get("responseCode", 200)
    if metadata.get("HTTPStatusCode", expected) != expected:
        problems.append(f"{operation}: status {metadata['HTTPStatusCode']}, the model says {expected}")
    if metadata and not metadata.get("RequestId"):
        problems.append(f"{operation}: no request id")
    assert not problems, "\n".join(problems)


def validate_event(service: str, operation: str, event: Mapping[str, Any]) -> None:
    """AssertionError unless ``event``, out of the response's stream, is one of the stream's events and well formed."""
    stream = model(service).operation_model(operation).get_event_stream_output()
    problems = list(_structure(stream, event, operation))
    if len(event) != 1:
        problems.append(f"{operation}: an event has one name, not {sorted(event)}")
    assert not problems, "\n".join(problems)


def validate_error(service: str, operation: str, error: ClientError) -> None:
    """AssertionError unless the error is one that the operation declares or any service may give, with its status."""
    operation_model = model(service).operation_model(operation)
    declared = {
        shape.error_code or shape.name: shape.metadata.get("error", {}).get(
            "httpStatusCode", _usual(service, shape.name)
        )
        for shape in operation_model.error_shapes
    }
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    expected = declared.get(code, COMMON.get(code))
    assert expected is not None, f"{operation}: {code} is not one of {sorted(declared)}"
    assert status == expected, f"{operation}: {code} came with status {status}, the model says {expected}"
    assert message.strip(), f"{operation}: {code} says nothing"
    assert error.response["ResponseMetadata"]["RequestId"], f"{operation}: no request id"


@cache
def _usual(service: str, error: str) -> int:
    """The status where the model names none: JSON 1.1 has only the server's fault, which botocore drops, and ours."""
    return 500 if Loader().load_service_model(service, "service-2")["shapes"][error].get("fault") else 400


def watch(client: Any) -> None:
    """Judge every answer that the boto3 ``client`` gets from now on, also the ones a test only passes over."""
    service = client.meta.service_model.service_name

    def judge(parsed: Mapping[str, Any], model: Any, **others: Any) -> None:
        if "Error" in parsed:
            validate_error(service, model.name, ClientError(dict(parsed), model.name))
        else:
            validate_output(service, model.name, parsed)

    client.meta.events.register("after-call.*.*", judge)


# shapes ---------------------------------------------------------------------------------------------------------------


def _problems(shape: Any, value: Any, where: str) -> Iterator[str]:
    """What is wrong with the value."""
    if "eventstream" in shape.serialization:
        if not isinstance(value, EventStream):
            yield f"{where}: not an event stream"
        return
    kind = shape.type_name
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        if not shape.metadata.get("document"):
            yield f"{where}: {value!r} is no {kind}"
        return
    yield from _limits(shape, value, where)
    within: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
        "structure": _structure,
        "list": _list,
        "map": _map,
        "string": _string,
        "timestamp": _timestamp,
    }
    if kind in within:
        yield from within[kind](shape, value, where)


def _limits(shape: Any, value: Any, where: str) -> Iterator[str]:
    if shape.type_name in ("structure", "boolean", "timestamp") or isinstance(value, StreamingBody):
        return
    size = value if isinstance(value, int | float) else len(value)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"{where}: {size} is less than {least}"
    if most is not None and size > most:
        yield f"{where}: {size} is more than {most}"


def _structure(shape: Any, value: Mapping[str, Any], where: str) -> Iterator[str]:
    if shape.metadata.get("document"):
        return
    for name in shape.required_members:
        if name not in value:
            yield f"{where}.{name}: required and missing"
    if shape.is_tagged_union and len(value) != 1:
        yield f"{where}: a union with {len(value)} members"
    for name, member in value.items():
        if name not in shape.members:
            yield f"{where}.{name}: no such member"
        else:
            yield from _problems(shape.members[name], member, f"{where}.{name}")


def _list(shape: Any, value: list[Any], where: str) -> Iterator[str]:
    for n, item in enumerate(value):
        yield from _problems(shape.member, item, f"{where}[{n}]")


def _map(shape: Any, value: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _problems(shape.key, key, f"{where} key")
        yield from _problems(shape.value, item, f"{where}[{key!r}]")


def _string(shape: Any, value: str, where: str) -> Iterator[str]:
    enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if enum and value not in enum:
        yield f"{where}: {value!r} is none of {enum}"
    if pattern and not matches(pattern, value):
        yield f"{where}: {value!r} does not match {pattern}"


def _timestamp(shape: Any, value: datetime, where: str) -> Iterator[str]:
    if value.tzinfo is None:
        yield f"{where}: {value} has no time zone"
