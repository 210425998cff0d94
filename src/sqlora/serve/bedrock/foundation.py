"""Foundation models: Nova's ids, behind each of which the project's base model stands; ``modelName`` says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.bedrock.find import arns_of
from sqlora.serve.model_ids import NOVA, parse_arn
from sqlora.serve.place import Place

PROVIDER = "Amazon"  # whose ids these are: programs look for them by it
LONGEST_NAME = 20


class FoundationHandlers:
    """The handlers, one method an operation."""

    def __init__(self, place: Place) -> None:
        self._name = Path(place.backend.project.train.base_model).name[:LONGEST_NAME]

    def list(self, call: Call) -> dict[str, Any]:
        """Those that fit every filter given."""
        params = call.params
        return {
            "modelSummaries": [
                model
                for model in self._models(call)
                if params.get("byProvider", PROVIDER).lower() == PROVIDER.lower()
                and params.get("byOutputModality", "TEXT") in model["outputModalities"]
                and _has(model["customizationsSupported"], params.get("byCustomizationType"))
                and _has(model["inferenceTypesSupported"], params.get("byInferenceType"))
            ]
        }

    def get(self, call: Call) -> dict[str, Any]:
        """A model by id or ARN."""
        identifier = call.params["modelIdentifier"]
        _, id = parse_arn(identifier) or ("", identifier)
        for model in self._models(call):
            if model["modelId"] == id:
                return {"modelDetails": model}
        raise AwsError(
            "ResourceNotFoundException", f"Could not resolve the foundation model from the model identifier: {id}."
        )

    def _models(self, call: Call) -> Iterator[dict[str, Any]]:
        for answers, is_customised in NOVA.items():
            yield self._model(call, answers, [], "ON_DEMAND")
            yield self._model(call, is_customised, ["FINE_TUNING"], "PROVISIONED")

    def _model(self, call: Call, id: str, customizations: Sequence[str], inference: str) -> dict[str, Any]:
        return {
            "modelArn": arns_of(call).foundation_model(id),
            "modelId": id,
            "modelName": self._name,
            "providerName": PROVIDER,
            "inputModalities": ["TEXT"],
            "outputModalities": ["TEXT"],
            "responseStreamingSupported": True,
            "customizationsSupported": customizations,
            "inferenceTypesSupported": [inference],
            "modelLifecycle": {"status": "ACTIVE"},
        }


def _has(values: Sequence[str], wanted: str | None) -> bool:
    return wanted is None or wanted in values
