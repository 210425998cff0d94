"""Rows by what a client calls them, and what the control plane shows of the project.

An ARN names an id; a name in its place is another's, though jobs and models may be called what looks like an id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlora.errors import NotFoundError
from sqlora.platform.customization import Customization, Customizations
from sqlora.platform.deployments import Deployment
from sqlora.platform.models import CustomModel, ModelStatus
from sqlora.platform.state import State
from sqlora.serve.aws.arns import BASE_MODEL_ID, Arns
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.model_ids import is_nova, parse_arn, with_context

LONGEST_MESSAGE = 2048


def arns_of(call: Call) -> Arns:
    """ARNs of the caller's account and region."""
    return Arns(call.region, call.account)


def find_job(customizations: Customizations, call: Call) -> Customization:
    """The Bedrock job that ``jobIdentifier`` names."""
    identifier = call.params["jobIdentifier"]
    found = customizations.get(arns_of(call).job_key(identifier))
    if found.kind != "bedrock" or not _named(identifier, found.id):
        raise NotFoundError(f"no model customization job {identifier!r}")
    return found


def find_deployment(state: State, call: Call) -> Deployment:
    """The deployment that ``customModelDeploymentIdentifier`` names."""
    identifier = call.params["customModelDeploymentIdentifier"]
    found = state.deployments.get(arns_of(call).deployment_key(identifier))
    if not _named(identifier, found.id):
        raise NotFoundError(f"no custom model deployment {identifier!r}")
    return found


def find_model(state: State, call: Call, member: str) -> CustomModel:
    """The custom model that the parameter ``member`` names. Escrow models are not the customer's, so not found."""
    identifier = call.params[member]
    if is_nova(identifier) or (identifier.startswith("arn:") and ":foundation-model/" in identifier):
        raise AwsError("ResourceNotFoundException", f"{identifier} is a foundation model, not a custom model.")
    found = state.models.get(arns_of(call).model_key(identifier))
    if found.origin == "escrow" or not _named(identifier, found.id):
        raise NotFoundError(f"no custom model {identifier!r}")
    return found


def _named(identifier: str, id: str) -> bool:
    return not identifier.startswith("arn:") or identifier.rsplit("/", 1)[-1] == id


@dataclass(frozen=True)
class ShownModel:
    """A custom model with the job that made it, if that came through Bedrock."""

    model: CustomModel
    job: Customization | None

    @property
    def status(self) -> ModelStatus:
        """Creating until its job is Completed: the customer's model comes with the job's end."""
        unfinished = self.job is not None and self.job.phase != "done"
        return "Creating" if unfinished else self.model.status

    def arn(self, arns: Arns) -> str:
        """Its ARN, which says whether it was trained here or imported."""
        return model_arn(arns, self.model)


def model_arn(arns: Arns, model: CustomModel) -> str:
    """The ARN of a custom model."""
    return arns.model(model.id, imported=model.origin == "imported")


def shown(customizations: Customizations, model: CustomModel) -> ShownModel:
    """The model with its job."""
    if model.job_id is None:
        return ShownModel(model, None)
    try:
        return ShownModel(model, customizations.get(model.job_id))
    except NotFoundError:  # trained on the command line
        return ShownModel(model, None)


def base_model_id(identifier: str, own_names: tuple[str, ...]) -> str:
    """The Nova id that a base model's identifier means; ValidationException for one that is not known.

    ``own_names`` are the project's own names of its base model, which go by Nova Micro's id on the wire.
    """
    kind, key = parse_arn(identifier) or ("", identifier)
    if kind == "custom-model":
        raise AwsError(
            "ValidationException",
            f"{identifier} is a custom model: training goes on from a foundation model only. "
            "Train on all the data from the base model instead.",
        )
    if key in own_names:
        return BASE_MODEL_ID
    if kind not in ("", "foundation-model") or not is_nova(key):
        raise AwsError("ValidationException", f"The provided model identifier is invalid: {identifier}.")
    return with_context(key)


def losses(train: float | None, validation: float | None) -> dict[str, Any]:
    """``trainingMetrics`` and ``validationMetrics``, as far as there are numbers: JSON has no NaN."""
    found: dict[str, Any] = {}
    if train is not None and math.isfinite(train):
        found["trainingMetrics"] = {"trainingLoss": train}
    if validation is not None and math.isfinite(validation):
        found["validationMetrics"] = [{"validationLoss": validation}]
    return found


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def message(text: str | None) -> str | None:
    """A failure message within the service's length."""
    return text if text is None or len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 1]}…"
