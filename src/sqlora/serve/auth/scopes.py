"""What a key may do: three scopes, and which of them each operation asks for."""

from __future__ import annotations

from sqlora.serve.aws.call import AwsError, Identity

# What a client that only asks questions looks up first.
_LOOKED_UP = frozenset(
    {("bedrock", "GetFoundationModel"), ("bedrock", "ListFoundationModels"), ("bedrock", "GetCustomModelDeployment")}
)


def scopes_for(service: str, operation: str) -> frozenset[str]:
    """The scopes any of which allows the operation; ``service`` is a model's name, or s3, iam, sts."""
    if service == "bedrock-runtime":
        return frozenset({"invoke", "admin"})
    if (service, operation) in _LOOKED_UP:
        return frozenset({"invoke", "train", "admin"})
    return frozenset({"train", "admin"})


def require(identity: Identity, service: str, operation: str) -> None:
    """AccessDeniedException unless one of the identity's scopes allows the operation."""
    needed = scopes_for(service, operation)
    if not needed & identity.scopes:
        raise AwsError(
            "AccessDeniedException",
            f"Key {identity.caller} ({identity.key_id}) is not authorized to perform {service}:{operation}: it needs "
            f"the scope {' or '.join(sorted(needed))} and has {', '.join(sorted(identity.scopes))}.",
        )
