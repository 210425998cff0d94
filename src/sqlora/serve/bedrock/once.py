"""Creating once: client request tokens, tags that come with the call, and names of what is created."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlora.platform.state import State
from sqlora.platform.tags import TooManyTagsError
from sqlora.serve.aws.call import AwsError, Call

TOKEN = "clientRequestToken"
RESERVED_PREFIX = "aws:"


def once(state: State, call: Call, create: Callable[[], str]) -> str:
    """The id that ``create`` gives, or gave when the call's token was first seen, in one transaction.

    ConflictError for a token that came with other parameters.
    """
    token = call.params.get(TOKEN)
    with state.transaction():
        if token is None:
            return create()
        asked = json.dumps({name: value for name, value in call.params.items() if name != TOKEN}, sort_keys=True)
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
        if made := state.idempotency.seen(call.operation, token, fingerprint):
            return made
        id = create()
        state.idempotency.remember(call.operation, token, fingerprint, id)
        return id


def tags_of(params: Mapping[str, Any], member: str) -> dict[str, str]:
    """The tags in a call by key; ValidationException for a key twice or one that AWS reserves."""
    tags: dict[str, str] = {}
    found: Sequence[Mapping[str, str]] = params.get(member, [])
    for tag in found:
        if tag["key"] in tags:
            raise AwsError("ValidationException", f"Duplicate tag key found in {member}: {tag['key']}.")
        if tag["key"].lower().startswith(RESERVED_PREFIX):
            raise AwsError("ValidationException", f"Tag keys that begin with {RESERVED_PREFIX} are reserved.")
        tags[tag["key"]] = tag["value"]
    return tags


def put_tags(state: State, resource: str, tags: Mapping[str, str]) -> None:
    """Add tags; TooManyTagsException above the service's limit."""
    try:
        state.tags.put(resource, tags)
    except TooManyTagsError as error:
        raise AwsError("TooManyTagsException", error.message) from error


def refuse_members(params: Mapping[str, Any], sentences: Mapping[str, str]) -> None:
    """ValidationException for a member that cannot be honoured here: dropping it would claim what is not so."""
    for member, sentence in sentences.items():
        if params.get(member):
            raise AwsError("ValidationException", f"{member} is not supported: {sentence}")
