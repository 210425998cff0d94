"""What can be asked, in OpenAI's list of models: the base model, and every deployment with the base as its parent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlora.backends.base import BASE
from sqlora.platform.deployments import Deployment
from sqlora.serve.place import Place


def all_models(place: Place) -> list[dict[str, Any]]:
    """The base model first, then the Active deployments, newest first."""
    deployments = place.backend.state.deployments.list(status="Active")
    return [_base(place), *(_deployed(place, deployment) for deployment in deployments)]


def model(place: Place, name: str) -> dict[str, Any]:
    """One by any of its names; NotFoundError."""
    found = place.answering.resolve(name)
    return _base(place) if found == BASE else _deployed(place, place.backend.deployment(found))


def _base(place: Place) -> dict[str, Any]:
    return _entry(BASE, 0, place.backend.project.train.base_model, None)


def _deployed(place: Place, deployment: Deployment) -> dict[str, Any]:
    custom = place.backend.state.models.get(deployment.model_id)
    created = int(datetime.fromisoformat(deployment.created_at).timestamp())
    return _entry(deployment.name, created, custom.name, custom.base_model)


def _entry(id: str, created: int, root: str, parent: str | None) -> dict[str, Any]:
    """``root`` (the custom model) and ``parent`` (its base) as vLLM names them for its adapters."""
    return {"id": id, "object": "model", "created": created, "owned_by": "sqlora", "root": root, "parent": parent}
