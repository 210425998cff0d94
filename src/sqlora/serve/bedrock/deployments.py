"""Custom model deployments: what is asked at the runtime. Nothing is loaded until the first question."""

from __future__ import annotations

from typing import Any

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.deployments import Deployment
from sqlora.platform.models import CustomModel
from sqlora.serve.aws.arns import Arns
from sqlora.serve.aws.call import Call
from sqlora.serve.bedrock.activation import Activation
from sqlora.serve.bedrock.find import (
    arns_of,
    find_deployment,
    find_model,
    message,
    model_arn,
    present,
    shown,
)
from sqlora.serve.bedrock.once import once, put_tags, tags_of
from sqlora.serve.bedrock.paging import created_between, moment, page
from sqlora.serve.place import Place


class DeploymentHandlers:
    """The handlers, one method an operation. The model declares no conflict here: it is a ValidationException."""

    def __init__(self, place: Place, activation: Activation) -> None:
        self._place, self._activation = place, activation
        self._state = place.backend.state

    def create(self, call: Call) -> dict[str, Any]:
        """Creating, then Active once the adapter was checked, or Failed."""
        params = call.params
        name, tags = params["modelDeploymentName"], tags_of(params, "tags")
        if name == self._place.backend.project.train.base_model:
            raise ConflictError(f"the name {name!r} means the untuned base model", "another modelDeploymentName")

        def create() -> str:
            model = self._active_model(call)
            deployment = self._state.deployments.create(name, model.id, description=params.get("description"))
            put_tags(self._state, f"deployment/{deployment.id}", tags)
            return deployment.id

        id = once(self._state, call, create)
        self._activation.resume()
        return {"customModelDeploymentArn": arns_of(call).deployment(id)}

    def _active_model(self, call: Call) -> CustomModel:
        """The model that ``modelArn`` names, which must be Active as its customer sees it."""
        found = shown(self._place.customizations, find_model(self._state, call, "modelArn"))
        if found.status != "Active":
            raise ConflictError(f"custom model {found.model.name!r} is {found.status}", "wait until it is Active")
        return found.model

    def get(self, call: Call) -> dict[str, Any]:
        """A deployment by name or ARN."""
        found = find_deployment(self._state, call)
        arns = arns_of(call)
        return present(
            {
                "customModelDeploymentArn": arns.deployment(found.id),
                "modelDeploymentName": found.name,
                "modelArn": self._model_arn(arns, found.model_id),
                "createdAt": moment(found.created_at),
                "status": found.status,
                "description": found.description,
                "updateDetails": self._update_details(arns, found),
                "failureMessage": message(found.failure_message),
                "lastUpdatedAt": moment(found.updated_at),
            }
        )

    def _update_details(self, arns: Arns, found: Deployment) -> dict[str, Any] | None:
        if found.update_status is None or found.update_model_id is None:
            return None
        return {"modelArn": self._model_arn(arns, found.update_model_id), "updateStatus": found.update_status}

    def _model_arn(self, arns: Arns, id: str) -> str:
        try:
            return model_arn(arns, self._state.models.get(id))
        except NotFoundError:  # the model that an earlier update was to, deleted since
            return arns.model(id)

    def list(self, call: Call) -> dict[str, Any]:
        """Newest first, unless asked otherwise."""
        params, arns = call.params, arns_of(call)
        model = arns.model_key(params["modelArnEquals"]) if "modelArnEquals" in params else None
        found = [
            deployment
            for deployment in self._state.deployments.list(
                model_id=model, status=params.get("statusEquals"), name_contains=params.get("nameContains", "")
            )
            if created_between(deployment.created_at, params.get("createdAfter"), params.get("createdBefore"))
        ]
        rows, token = page(found, params, lambda row: (row.created_at, row.id))
        return present({"modelDeploymentSummaries": [self._summary(arns, row) for row in rows], "nextToken": token})

    def _summary(self, arns: Arns, found: Deployment) -> dict[str, Any]:
        return present(
            {
                "customModelDeploymentArn": arns.deployment(found.id),
                "customModelDeploymentName": found.name,
                "modelArn": self._model_arn(arns, found.model_id),
                "createdAt": moment(found.created_at),
                "status": found.status,
                "lastUpdatedAt": moment(found.updated_at),
                "failureMessage": message(found.failure_message),
            }
        )

    def update(self, call: Call) -> dict[str, Any]:
        """Updating, then another model behind the same name; until then, and if that fails, the old one answers."""
        found = find_deployment(self._state, call)
        self._state.deployments.begin_update(found.id, self._active_model(call).id)
        self._activation.resume()
        return {"customModelDeploymentArn": arns_of(call).deployment(found.id)}

    def delete(self, call: Call) -> dict[str, Any]:
        """The model stays."""
        self._place.backend.delete_deployment(find_deployment(self._state, call).id)
        return {}
