"""Several backends behind one: who answers differs by deployment, and so does what can be asked of it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Routing(Protocol):
    """A backend that hands each deployment's questions to another (`sqlora.backends.everywhere`)."""

    def backend_of(self, deployment: str, /) -> Any:
        """The backend that answers for this deployment."""


def answering(backend: object, deployment: str) -> Any:
    """The backend that answers for ``deployment``: ``backend`` itself unless it hands questions on."""
    return backend.backend_of(deployment) if isinstance(backend, Routing) else backend


def can_search(backend: object, deployment: str) -> bool:
    """Whether the deployment can be asked for several beams; one that does not say so can."""
    capabilities = getattr(answering(backend, deployment), "capabilities", None)
    return capabilities is None or bool(capabilities.beams)
