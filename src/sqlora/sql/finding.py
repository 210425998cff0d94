"""What is wrong with a query, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

Kind = Literal["syntax", "statement", "table", "column", "ambiguous", "function"]


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a query; ``line`` and ``column`` are 1-based places of ``token`` in its text, 0
    if unknown.
    """

    kind: Kind
    message: str
    line: int = 0
    column: int = 0
    token: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}" if self.line else self.message


class Findings:
    """Collects findings about one text, and knows where its nodes stand in it."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.found: list[Finding] = []

    def add(self, kind: Kind, message: str, node: exp.Expr | None = None) -> None:
        """Note a finding at the place of a node; the same one twice is noted once."""
        start, end = _span(node) if node is not None else (-1, -1)
        token = self.sql[start : end + 1] if start >= 0 else ""
        line, column = self._place(start)
        finding = Finding(kind, message, line, column, token)
        if finding not in self.found:
            self.found.append(finding)

    def text(self, node: exp.Expr) -> str:
        """The node's own token as it was written; '' if its place is not known."""
        own = node._meta or {}
        return self.sql[int(own["start"]) : int(own["end"]) + 1] if "start" in own else ""

    def _place(self, start: int) -> tuple[int, int]:
        if not 0 <= start < len(self.sql):
            return 0, 0
        before = self.sql[:start]
        return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1


def _span(node: exp.Expr) -> tuple[int, int]:
    """First and last character of the node's own token, else of the first token inside it; (-1, -1) if
    unknown.
    """
    places = [
        (int(found.meta["start"]), int(found.meta["end"]))
        for found in node.walk()
        if found._meta and "start" in found._meta  # .meta would make a dictionary for every node
    ]
    own = node._meta or {}
    if "start" in own:
        return int(own["start"]), int(own["end"])
    return min(places, default=(-1, -1))


def kind_of(node: exp.Expr) -> str:
    """What a part of a query is, in SQL's capitals: ``AT TIME ZONE``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()
