"""NodeError: a part of a tree that a dialect does not have, with its place in the text."""

from __future__ import annotations

from sqlglot import exp


class NodeError(ValueError):
    """``offset`` and ``length`` are those of the first name in ``node`` (-1 where the parser noted none)."""

    def __init__(self, node: exp.Expr, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        placed = [each for each in node.walk() if "start" in each.meta]
        first = min(placed, key=lambda each: int(each.meta["start"]), default=None)
        self.offset = int(first.meta["start"]) if first else -1
        self.length = int(first.meta["end"]) - self.offset + 1 if first else 0
        self.suggestion = suggestion
