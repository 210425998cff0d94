"""Ids and names as Bedrock has them, so that what is made here can be named the same there."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlora.errors import ConfigError, ConflictError

Kind = Literal["job", "model", "deployment"]

LONGEST = 63
RESERVED = frozenset({"base"})  # the untuned base model, wherever a deployment or model is asked for
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# botocore's patterns of jobName, and of modelName and modelDeploymentName, written without nested repetition.
_JOB_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.\-]*")
_MODEL_NAME = re.compile(r"[0-9a-zA-Z]([_-]?[0-9a-zA-Z])*[_-]?")


def new_id() -> str:
    """12 random characters of a-z and 0-9 (62 bits), the form that Bedrock's ARNs end in."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(12))


def now(later: float = 0.0) -> str:
    """The time, or that ``later`` seconds from it, as ``2026-04-16T18:15:35.744Z``.

    It is Bedrock's form, and sorting it sorts by time.
    """
    return stamp(datetime.now(UTC) + timedelta(seconds=later))


def stamp(time: datetime) -> str:
    """A moment in the form of `now`; one without a zone is UTC."""
    moment = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_name(kind: Kind, name: str) -> str:
    """``name`` itself; ConfigError when Bedrock would refuse it, ConflictError when it means the base model."""
    pattern, allowed = (
        (_JOB_NAME, "letters, digits, and + . - after the first character")
        if kind == "job"
        else (_MODEL_NAME, "letters and digits, with single - or _ between them")
    )
    if not 1 <= len(name) <= LONGEST or not pattern.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a {kind}: 1 to {LONGEST} {allowed}", f"a name such as {slug(name)!r}"
        )
    if kind != "job" and name in RESERVED:
        raise ConflictError(f"the name {name!r} means the untuned base model", f"another name for the {kind}")
    return name


def slug(text: str) -> str:
    """A name made of ``text`` that jobs, models and deployments may all have: "Larkspur Markets" → larkspur-markets."""
    words = re.findall(r"[0-9a-z]+", text.lower())
    return "-".join(words)[:LONGEST].strip("-") or "project"
