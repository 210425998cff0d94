"""Which operations the server has handlers for, and which it does not; asked of the server itself."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sqlora.backends.local import LocalBackend
from sqlora.project import load_project
from sqlora.serve import bedrock, sagemaker
from sqlora.serve.app import build
from sqlora.serve.bedrock import runtime
from tests.conformance.workplace import write_project
from tests.wire.judge import model

SERVICES = ("bedrock", "bedrock-runtime", "sagemaker", "service-quotas")

Operation = tuple[str, str]


@cache
def served() -> tuple[Operation, ...]:
    """(service, operation), as botocore names them, by service and in the order of the handlers."""
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder))
        with LocalBackend(load_project(Path(folder), environ={})) as backend:
            application = build(backend, "http://127.0.0.1:1", "token", True)
            try:
                place = application.place
                handlers = {
                    **bedrock.handlers(place, application.activation),
                    **runtime.handlers(place),
                    **sagemaker.handlers(place),
                }
            finally:
                application.close()
    return tuple(handlers)


def declared(service: str, operation: str) -> dict[str, int]:
    """The errors that botocore's model declares, with their HTTP status."""
    return {
        shape.error_code or shape.name: shape.metadata.get("error", {}).get("httpStatusCode", 400)
        for shape in model(service).operation_model(operation).error_shapes
    }


def others(service: str) -> list[str]:
    """The operations of the service's model that have no handler."""
    return [name for name in model(service).operation_names if (service, name) not in served()]
