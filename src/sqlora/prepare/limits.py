"""What an example may be, by the project's settings and by what its backend's model reads while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlora.prepare.texts import Rules

if TYPE_CHECKING:
    from sqlora.project import Project

BEDROCK_TOKENS = 32_000  # of one record while training; Nova's user guide
NOVA_RECIPE_TOKENS = 8_192  # `max_length` of AWS's recipes for SageMaker, unless [aws.recipe] sets it
LOCAL_TOKENS = 8_192  # SmolLM2's context, which is that of most models of its size


def rules_of(project: Project) -> Rules:
    """The rules for the examples of a project."""
    return Rules(project.prepare.tokens or longest_record(project), project.prepare.personal_data)


def longest_record(project: Project) -> int:
    """Tokens of the longest record that the backend in ``[train]`` trains on."""
    if project.train.backend == "bedrock":
        return BEDROCK_TOKENS
    if project.train.backend == "sagemaker":
        training: Any = project.aws.recipe.get("training_config")
        asked = training.get("max_length") if isinstance(training, dict) else None
        return asked if isinstance(asked, int) else NOVA_RECIPE_TOKENS
    return LOCAL_TOKENS
