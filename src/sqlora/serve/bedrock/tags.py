"""Tags of jobs, custom models and deployments."""

from __future__ import annotations

from typing import Any

from sqlora.errors import NotFoundError
from sqlora.serve.aws.arns import Kind
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.bedrock.find import arns_of
from sqlora.serve.bedrock.once import put_tags, tags_of
from sqlora.serve.place import Place


class TagHandlers:
    """The handlers, one method an operation."""

    def __init__(self, place: Place) -> None:
        self._state, self._customizations = place.backend.state, place.customizations

    def tag(self, call: Call) -> dict[str, Any]:
        """Add tags, or give those that are there another value."""
        tags = tags_of(call.params, "tags")
        with self._state.transaction():
            put_tags(self._state, self._resource(call), tags)
        return {}

    def untag(self, call: Call) -> dict[str, Any]:
        """Take tags away; keys that are not there are no error."""
        with self._state.transaction():
            self._state.tags.remove(self._resource(call), call.params["tagKeys"])
        return {}

    def list(self, call: Call) -> dict[str, Any]:
        """All tags of a resource."""
        tags = self._state.tags.of(self._resource(call))
        return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}

    def _resource(self, call: Call) -> str:
        """What the tags hang on; ResourceNotFoundException when it is not there."""
        arn = call.params["resourceARN"]
        kind, id = arns_of(call).resource(arn)
        try:
            there = self._there(kind, id)
        except NotFoundError:
            there = False
        if not there:
            raise AwsError("ResourceNotFoundException", f"The requested resource {arn} was not found.")
        return f"{kind}/{id}"

    def _there(self, kind: Kind, id: str) -> bool:
        if kind == "job":
            job = self._customizations.get(id)
            return job.kind == "bedrock" and job.id == id
        if kind == "model":
            model = self._state.models.get(id)
            return model.origin != "escrow" and model.id == id
        return self._state.deployments.get(id).id == id
