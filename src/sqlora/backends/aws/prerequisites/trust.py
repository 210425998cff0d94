"""Would a trust policy let a service assume the role? IAM cannot be asked that, so the document is read here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlora.backends.aws.policies import Document, Statement

ACTION = "sts:AssumeRole"
_EXACT = {"stringequals", "stringequalsifexists"}
_PATTERNS = {"stringlike", "arnlike", "arnequals", "stringlikeifexists", "arnlikeifexists", "arnequalsifexists"}


@dataclass(frozen=True)
class Trust:
    """``allowed``: None where a condition cannot be judged, which ``why`` names. ``open``: any account may use it."""

    allowed: bool | None
    why: str
    open: bool = False


def judge(document: Document, service: str, context: Mapping[str, str]) -> Trust:
    """Whether ``service`` may assume the role in the ``context`` of its call: condition key → value."""
    about = [each for each in _list(document.get("Statement", [])) if _concerns(each, service)]
    for statement in about:
        if statement.get("Effect") == "Deny" and _holds(statement, context) is not False:
            return Trust(False, "a Deny statement of its trust policy forbids it")
    allowing = [each for each in about if each.get("Effect") == "Allow"]
    if not allowing:
        return Trust(False, f"its trust policy does not let {service} assume it")
    judged = [(each, _holds(each, context)) for each in allowing]
    for statement, holds in judged:
        if holds:
            return Trust(True, f"{service} may assume it", open=not statement.get("Condition"))
    if any(holds is None for _, holds in judged):
        return Trust(None, "its trust policy has a condition that only AWS can judge")
    return Trust(False, f"its trust policy lets {service} assume it only for other accounts, regions or jobs")


def _concerns(statement: Statement, service: str) -> bool:
    principal = statement.get("Principal", {})
    services = [principal] if isinstance(principal, str) else _list(principal.get("Service", []))
    actions = [str(action).lower() for action in _list(statement.get("Action", []))]
    return bool({service, "*"} & set(services)) and any(_like(ACTION.lower(), action) for action in actions)


def _holds(statement: Statement, context: Mapping[str, str]) -> bool | None:
    """Whether all conditions hold; None when one cannot be judged and no other fails."""
    values = {key.lower(): value for key, value in context.items()}
    sure = True
    for operator, tests in statement.get("Condition", {}).items():
        for key, allowed in tests.items():
            known = operator.lower() in _EXACT | _PATTERNS and key.lower() in values
            if not known:
                sure = False
            elif not any(_matches(operator.lower(), values[key.lower()], str(each)) for each in _list(allowed)):
                return False
    return True if sure else None


def _matches(operator: str, value: str, wanted: str) -> bool:
    return value == wanted if operator in _EXACT else _like(value, wanted)


def _like(value: str, pattern: str) -> bool:
    """IAM's wildcards: * any letters, ? any one."""
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
