"""The names a model is asked by: a deployment by ARN, id or name; the base model also by the ids of Nova.

Nova's weights are not public, so a program written for Nova reaches the project's base model under Nova's identifiers.
"""

from __future__ import annotations

import re

from sqlora.train.nova import MODELS, without_context

PROFILE = re.compile(r"(us|us-gov|eu|apac|ap|ca|global)\.(?=amazon\.)")  # of cross-Region inference profiles
NOVA = {without_context(id): id for id in MODELS}  # the id that answers → the one that is customised

# A machine has no Regions and one account, so any of either will do.
_ARN = re.compile(
    r"arn:aws[a-z-]*:bedrock:[a-z0-9-]{1,20}:(?:[0-9]{12})?:"
    r"(?P<kind>foundation-model|inference-profile|custom-model-deployment|custom-model|[a-z-]+)/(?P<rest>\S+)"
)


def parse_arn(model_id: str) -> tuple[str, str] | None:
    """(kind, what follows the slash) of a Bedrock ARN, else None."""
    found = _ARN.fullmatch(model_id)
    return (found["kind"], found["rest"]) if found else None


def is_nova(model_id: str) -> bool:
    """Whether it is a Nova text model's id, with or without its context size or its inference profile."""
    return _answering(model_id) in NOVA


def with_context(model_id: str) -> str:
    """The id that is customised, of either id of a Nova model."""
    return NOVA[_answering(model_id)]


def _answering(model_id: str) -> str:
    return without_context(PROFILE.sub("", model_id, count=1))


def is_foreign(model_id: str) -> bool:
    """Whether it has the form of a foundation model's id (``provider.model``), which no deployment's name has."""
    return "." in model_id or ":" in model_id
