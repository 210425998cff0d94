"""A service as botocore's own model describes it, and which of its operations a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

SIGNED_AS = {
    "bedrock": ("bedrock-runtime", "bedrock"),
    "sagemaker": ("sagemaker",),
    "servicequotas": ("service-quotas",),
}
"""Service of a credential scope to the models that it may mean; Bedrock's two never have a path in common."""

_TARGETS = {"SageMaker": "sagemaker", "ServiceQuotasV20190624": "service-quotas"}


@cache
def service(name: str) -> Service:
    """The service of that name, its model read once (SageMaker's takes a third of a second)."""
    return Service(name)


def find(signed_as: str | None, method: str, raw_path: str, headers: Mapping[str, str]) -> Match | None:
    """The operation that a request asks for, in whichever service it was signed for.

    ``signed_as`` is the service of its credential scope; None for a bearer token: X-Amz-Target or the path decides.
    """
    if signed_as is not None:
        names = SIGNED_AS.get(signed_as, ())
    else:
        target = _TARGETS.get(headers.get("x-amz-target", "").partition(".")[0])
        names = (target,) if target else SIGNED_AS["bedrock"]
    for name in names:
        if match := service(name).match(method, raw_path, headers):
            return match
    return None


@dataclass(frozen=True)
class Route:
    """Method and path of a rest-json operation; a segment is literal text, ``{label}``, or ``{label+}`` for many."""

    method: str
    segments: tuple[str, ...]
    operation: str

    def match(self, path: list[str]) -> dict[str, str] | None:
        """The labels' values, unquoted, when the raw path's segments are this route's."""
        found: dict[str, str] = {}
        rest = path
        for place, segment in enumerate(self.segments):
            taken = 1 if not segment.endswith("+}") else len(rest) - (len(self.segments) - place - 1)
            if not 1 <= taken <= len(rest):
                return None
            text, rest = unquote("/".join(rest[:taken])), rest[taken:]
            if segment.startswith("{"):
                if not text:
                    return None
                found[segment.strip("{+}")] = text
            elif text != segment:
                return None
        return None if rest else found


@dataclass(frozen=True)
class Match:
    """An operation that was asked for, and the parameters that its path carried, by their location names."""

    service: Service
    operation: Any
    path: Mapping[str, str]


class Service:
    """One service model. ``protocol`` is rest-json or json; ``signing_name`` is the service of credential scopes."""

    def __init__(self, name: str) -> None:
        # Only botocore's own models: what lies in ~/.aws/models is the client's affair.
        loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
        self.name = name
        self.model: Any = ServiceModel(loader.load_service_model(name, "service-2"), name)
        self.protocol: str = self.model.protocol
        self.signing_name: str = self.model.signing_name
        self.target_prefix: str | None = self.model.metadata.get("targetPrefix")
        self._names: frozenset[str] = frozenset(self.model.operation_names)
        # Literal segments before labels, so that /custom-models/create-custom-model is not a model of that name.
        self._routes = sorted(self._read_routes(), key=lambda route: [s.startswith("{") for s in route.segments])

    def _read_routes(self) -> list[Route]:
        if self.protocol != "rest-json":
            return []
        routes = []
        for name in self._names:
            http = self.operation(name).http
            path = http["requestUri"].split("?")[0]
            routes.append(Route(http["method"], tuple(path.split("/")[1:]), name))
        return routes

    def operation(self, name: str) -> Any:
        """botocore's OperationModel; botocore.model.OperationNotFoundError."""
        operation: OperationModel = self.model.operation_model(name)
        return operation

    def match(self, method: str, raw_path: str, headers: Mapping[str, str]) -> Match | None:
        """The operation asked for, if it is one of this service; header names are lower-case."""
        if self.protocol == "json":
            prefix, _, name = headers.get("x-amz-target", "").rpartition(".")
            known = prefix == self.target_prefix and name in self._names and method == "POST"
            return Match(self, self.operation(name), {}) if known else None
        path = raw_path.split("/")[1:]
        for route in self._routes:
            if route.method == method and (labels := route.match(path)) is not None:
                return Match(self, self.operation(route.operation), labels)
        return None
