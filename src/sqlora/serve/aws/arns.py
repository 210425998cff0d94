"""ARNs: what names jobs, custom models and deployments outside the project. Inside, a row's 12-character id does.

One machine has no regions: an ARN of any region is accepted, and what is answered carries the caller's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sqlora.serve.aws.call import AwsError

Kind = Literal["job", "model", "deployment"]

BASE_MODEL_ID = "amazon.nova-micro-v1:0:128k"
"""Whose customization the ARNs speak of: Nova's weights are not public, the project's base model stands in."""

_ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d*):(?P<resource>.+)")
_ID = re.compile(r"[a-z0-9]{12}")
_KINDS: dict[str, Kind] = {
    "model-customization-job": "job",
    "custom-model": "model",
    "custom-model-deployment": "deployment",
}
_CALLED = {"job": "model customization job", "model": "custom model", "deployment": "custom model deployment"}


@dataclass(frozen=True)
class Arns:
    """ARNs of one account, in the region that the caller signed for."""

    region: str
    account: str = "123456789012"

    def job(self, id: str, base: str = BASE_MODEL_ID) -> str:
        """The ARN of a model customization job."""
        return self._bedrock(f"model-customization-job/{base}/{id}")

    def model(self, id: str, *, imported: bool = False, base: str = BASE_MODEL_ID) -> str:
        """The ARN of a custom model: one that a job made, or one that CreateCustomModel imported."""
        return self._bedrock(f"custom-model/{'imported' if imported else base}/{id}")

    def deployment(self, id: str) -> str:
        """The ARN of a custom model deployment."""
        return self._bedrock(f"custom-model-deployment/{id}")

    def foundation_model(self, id: str) -> str:
        """The ARN of a foundation model, which belongs to no account."""
        return f"arn:aws:bedrock:{self.region}::foundation-model/{id}"

    def training_job(self, name: str) -> str:
        """The ARN of a SageMaker training job."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:training-job/{name}"

    def _bedrock(self, resource: str) -> str:
        return f"arn:aws:bedrock:{self.region}:{self.account}:{resource}"

    def job_key(self, identifier: str) -> str:
        """The id or name in an id, name or ARN of a job; the raised errors are those of `key`."""
        return self.key("job", identifier)

    def model_key(self, identifier: str) -> str:
        """The id or name in an id, name or ARN of a custom model."""
        return self.key("model", identifier)

    def deployment_key(self, identifier: str) -> str:
        """The id or name in an id, name or ARN of a deployment."""
        return self.key("deployment", identifier)

    def key(self, kind: Kind, identifier: str) -> str:
        """What `State` looks ``identifier`` up by.

        ValidationException for an ARN of something else, ResourceNotFoundException for one of another account.
        """
        if not identifier.startswith("arn:"):
            return identifier
        found, id = self.resource(identifier)
        if found != kind:
            raise AwsError("ValidationException", f"{identifier} is not the ARN of a {_CALLED[kind]}.")
        return id

    def resource(self, arn: str) -> tuple[Kind, str]:
        """The kind and id of any ARN this server hands out for Bedrock (what a tag hangs on); errors as in `key`."""
        parts = _ARN.fullmatch(arn)
        name, *path = parts["resource"].split("/") if parts else [""]
        kind = _KINDS.get(name)
        if parts is None or parts["service"] != "bedrock" or kind is None or not _well_formed(kind, path):
            raise AwsError("ValidationException", f"The provided ARN is not valid: {arn}.")
        if parts["account"] != self.account:
            raise AwsError("ResourceNotFoundException", f"The requested {_CALLED[kind]} {arn} was not found.")
        return kind, path[-1]


def _well_formed(kind: Kind, path: list[str]) -> bool:
    # …/<id> for deployments, …/<base model or "imported">/<id> for jobs and models.
    return len(path) == (1 if kind == "deployment" else 2) and _ID.fullmatch(path[-1]) is not None
