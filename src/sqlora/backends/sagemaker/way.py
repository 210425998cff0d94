"""What differs between the two kinds of training job: what is checked, asked for, and done when it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlora.backends.aws.storage import Storage
from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.cost.model import Option
from sqlora.platform.ledger import Resource
from sqlora.platform.names import slug
from sqlora.prepare.dataset import Dataset

KEPT_NAME = 44  # characters of the job's own name in SageMaker's; the row's id and the attempt follow


class Way(Protocol):
    """One kind. ``base_model`` is what is trained; a ``row`` is the job's in the ledger."""

    def capabilities(self) -> Capabilities:
        """See `Backend`."""

    def estimate(self, request: TrainingRequest, base_model: str, dataset: Dataset) -> Option:
        """See `Backend`."""

    def fingerprint(self, request: TrainingRequest, base_model: str) -> str:
        """Equal for requests that train the same model."""

    def details(self, request: TrainingRequest, base_model: str, dataset: Dataset) -> dict[str, Any]:
        """What the row keeps so that any process can submit the job. ConfigError or DatasetError for what is wrong."""

    def parameters(self, row: Resource) -> dict[str, Any]:
        """Those of CreateTrainingJob that are the kind's own; what they name is in S3 when this returns."""

    def finish(self, row: Resource, found: Mapping[str, Any]) -> Resource:
        """The training is completed (``found`` describes it): the next step on the way to the custom model."""

    def discard(self, row: Resource) -> None:
        """The training is completed, but its job was stopped: no model comes of it."""

    def resumable(self, row: Resource) -> bool:
        """Whether an ended job has something that it can go on from."""

    def again(self, row: Resource) -> dict[str, Any]:
        """What changes in the row of a job that goes on."""


def training_name(row: Resource) -> str:
    """The name of the row's job in SageMaker: nobody else's, so that a job of that name is the row's.

    SageMaker has no idempotency tokens; asked twice for the same name, it refuses.
    """
    attempt = row.details["attempt"]
    name = f"{slug(row.name)[:KEPT_NAME].strip('-')}-{row.id}"
    return name if attempt == 1 else f"{name}-{attempt}"


def channel(name: str, uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    """An input of a training job; ``kind`` Converse is for Nova's records."""
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def output_of(storage: Storage, row: Resource) -> str:
    """The job's own folder in S3, in the ledger before anything is in it; without a slash at the end."""
    return (storage.folder(f"jobs/{row.name}", row.id).arn or "").rstrip("/")
