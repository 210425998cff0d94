"""Declared errors that cannot happen here, each with its reason; the suite fails when one does, or when one is unneeded."""

from __future__ import annotations

from collections.abc import Iterator

from tests.wire.record import OPENAI
from tests.wire.served import declared, served

ALL: tuple[str, ...] = ()

BEDROCK, RUNTIME, SAGEMAKER, QUOTAS = "bedrock", "bedrock-runtime", "sagemaker", "service-quotas"

_THROUGHPUT = tuple(f"{verb}ProvisionedModelThroughput" for verb in ("Create", "Get", "Update", "Delete"))
REFUSED: dict[tuple[str, str], str] = {
    **{(BEDROCK, name): "ValidationException: nothing is reserved here" for name in _THROUGHPUT},
    (BEDROCK, "ListProvisionedModelThroughputs"): "ValidationException: nothing is reserved here",
    (RUNTIME, "CountTokens"): "ValidationException, as the service answers for Nova",
    (RUNTIME, "ApplyGuardrail"): "ValidationException: there are no guardrails",
}
"""Operations that are always refused, and how."""

Rule = tuple[str, tuple[str, ...], str, str]
"""Service, operations or `ALL`, error or "*", reason. Of several for one error the first counts."""

RULES: tuple[Rule, ...] = (
    (
        BEDROCK,
        (*_THROUGHPUT, "ListProvisionedModelThroughputs"),
        "*",
        "the operation is refused before anything is looked up",
    ),
    (RUNTIME, ("ApplyGuardrail",), "*", "the operation is refused before anything is looked up"),
    (
        BEDROCK,
        ("GetFoundationModel", "ListFoundationModels", "GetCustomModelDeployment"),
        "AccessDeniedException",
        "every scope of a key allows it",
    ),
    (
        BEDROCK,
        ("GetFoundationModel", "ListFoundationModels"),
        "InternalServerException",
        "the answer is fixed: it depends on no file and no database",
    ),
    (
        BEDROCK,
        ALL,
        "ThrottlingException",
        "the control plane has no rate limit, and what only reads waits for no other process",
    ),
    (BEDROCK, ALL, "ServiceQuotaExceededException", "the number of jobs, models and deployments has no limit"),
    (
        BEDROCK,
        ("CreateModelCustomizationJob", "CreateCustomModel", "CreateCustomModelDeployment"),
        "TooManyTagsException",
        "more than 200 tags break the member's own limit: ValidationException",
    ),
    (
        BEDROCK,
        ("CreateModelCustomizationJob",),
        "ResourceNotFoundException",
        "a base model that is none is a ValidationException; objects in S3 are looked for when the job runs",
    ),
    (
        BEDROCK,
        ("CreateCustomModel",),
        "ResourceNotFoundException",
        "an escrow URI without a checkpoint is a ValidationException; a bucket is looked into afterwards",
    ),
    (
        BEDROCK,
        ("DeleteCustomModelDeployment",),
        "ConflictException",
        "a deployment can be deleted in every status; answers under way are finished",
    ),
    (RUNTIME, ALL, "ModelTimeoutException", "an answer has no time limit; the client's own ends it"),
    (RUNTIME, ALL, "ServiceQuotaExceededException", "the only quotas are those of a minute: ThrottlingException"),
    (RUNTIME, ("CountTokens",), "ThrottlingException", "counting is refused, so it counts against nothing"),
    (
        SAGEMAKER,
        ("CreateTrainingJob",),
        "ResourceNotFound",
        "it is of experiments, which are taken and not looked up; objects in S3 are looked for when the job runs",
    ),
    (
        SAGEMAKER,
        ("DescribeTrainingJob",),
        "ResourceNotFound",
        "the service itself answers ValidationException, Requested resource not found",
    ),
    (
        QUOTAS,
        ("GetAWSDefaultServiceQuota", "ListAWSDefaultServiceQuotas"),
        "ServiceException",
        "the answer is fixed: it depends on no file and no database",
    ),
    (
        QUOTAS,
        ALL,
        "IllegalArgumentException",
        "a parameter that breaks the model is a ValidationException, and nothing else is asked of it",
    ),
    (QUOTAS, ALL, "TooManyRequestsException", "there is no rate limit, and what only reads waits for no other process"),
    (QUOTAS, ALL, "DependencyAccessDeniedException", "no other service decides"),
    (
        QUOTAS,
        ALL,
        "ResourceAlreadyExistsException",
        "a request is decided at once, so none is open when the next one comes",
    ),
    (QUOTAS, ALL, "QuotaExceededException", "the number of requests has no limit"),
    (QUOTAS, ALL, "InvalidResourceStateException", "a quota here has no state that forbids a request"),
    (OPENAI, ALL, "UnprocessableEntityError", "what cannot be processed is a BadRequestError that names the key"),
    (OPENAI, ("models.list",), "BadRequestError", "it has no parameter"),
    (OPENAI, ("models.list",), "NotFoundError", "it has no parameter"),
    (OPENAI, ("models.list", "models.retrieve"), "ConflictError", "nothing is asked of the model itself"),
    (OPENAI, ("models.list", "models.retrieve"), "RateLimitError", "only answers count against the minute"),
)


# Of every operation, also of one that is refused: by its caller's key, its parameters, or a server with no room.
ALWAYS = ("AccessDeniedException", "ValidationException", "ServiceUnavailableException")


def rule(service: str, operation: str, error: str) -> Rule | None:
    """The rule by which the error cannot happen; None where it can."""
    for each in RULES:
        of, operations, named, _ = each
        applies = of == service and (not operations or operation in operations)
        if applies and (named == error or (named == "*" and error not in ALWAYS)):
            return each
    return None


def everything_declared() -> Iterator[tuple[str, str, str]]:
    """(service, operation, error) of all that is served."""
    for service, operation in served():
        for error in declared(service, operation):
            yield service, operation, error
