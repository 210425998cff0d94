"""Which tables a question is about: words in common, then the joins between them."""

from __future__ import annotations

import math
import re
from collections import Counter, deque

from sqlora.sql.schema import Table

NAME_WEIGHT, COLUMN_WEIGHT, COMMENT_WEIGHT = 3.0, 1.0, 0.5
STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "do",
        "does",
        "for",
        "from",
        "had",
        "has",
        "have",
        "how",
        "i",
        "in",
        "is",
        "it",
        "its",
        "list",
        "many",
        "me",
        "much",
        "of",
        "on",
        "or",
        "per",
        "show",
        "that",
        "the",
        "their",
        "there",
        "these",
        "this",
        "those",
        "to",
        "was",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whose",
        "with",
        "id",
        "name",
    ]
)


def choose_tables(tables: tuple[Table, ...], question: str, most: int) -> tuple[Table, ...]:
    """The best-scoring tables with the tables that connect them, at most ``most``, in their given order.

    A table that would need more connecting tables than are left is skipped, so what is chosen can be joined
    as far as keys say so. Without a word in common: the tables with the most joins, as these are what
    questions are about.
    """
    neighbours = _neighbours(tables)
    scores = _scores(tables, question)
    ranked = sorted(range(len(tables)), key=lambda index: (-scores[index], -len(neighbours[index]), index))
    if scores[ranked[0]] > 0:
        ranked = [index for index in ranked if scores[index] > 0]
    chosen: set[int] = set()
    for index in ranked:
        path = _path(chosen, index, neighbours) if chosen else [index]
        wanted = set(path or [index]) - chosen
        if len(chosen) + len(wanted) <= most:
            chosen |= wanted
    return tuple(table for index, table in enumerate(tables) if index in chosen)


def _scores(tables: tuple[Table, ...], question: str) -> list[float]:
    """Sum of weights of the words in common; a word that many tables have counts less (inverse frequency)."""
    asked = set(_words(question))
    weights: list[dict[str, float]] = []
    for table in tables:
        found: dict[str, float] = {}
        for text, weight in (
            [(table.name, NAME_WEIGHT), (table.comment, COMMENT_WEIGHT)]
            + [(column.name, COLUMN_WEIGHT) for column in table.columns]
            + [(column.comment, COMMENT_WEIGHT) for column in table.columns]
        ):
            for word in _words(text):
                found[word] = max(weight, found.get(word, 0.0))
        weights.append(found)
    frequency = Counter(word for found in weights for word in found)
    return [
        sum(weight * math.log(1 + len(tables) / frequency[word]) for word, weight in found.items() if word in asked)
        for found in weights
    ]


def _words(text: str) -> list[str]:
    """`storeName`, `store_names` and "stores' names" all give store, name."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return [_singular(word) for word in re.findall(r"[^\W_]+", spaced.lower()) if word not in STOP]


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "ches", "shes", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _neighbours(tables: tuple[Table, ...]) -> list[list[int]]:
    """Joins by declared foreign keys; in a schema that declares none, by equal names of one's primary key."""
    position = {table.name.lower(): index for index, table in enumerate(tables)}
    found: list[set[int]] = [set() for _ in tables]
    for index, table in enumerate(tables):
        for key in table.foreign_keys:
            other = position.get(key.table.lower())
            if other is not None and other != index:
                found[index].add(other)
                found[other].add(index)
    if not any(table.foreign_keys for table in tables):
        for index, table in enumerate(tables):
            for other, candidate in enumerate(tables):
                if index != other and len(candidate.primary_key) == 1 and table.get(candidate.primary_key[0]):
                    found[index].add(other)
                    found[other].add(index)
    return [sorted(others) for others in found]


def _path(start: set[int], end: int, neighbours: list[list[int]]) -> list[int] | None:
    """The shortest way from any of ``start`` to ``end``, both included; None if there is none."""
    came: dict[int, int | None] = dict.fromkeys(sorted(start))
    queue = deque(came)
    while queue:
        here = queue.popleft()
        if here == end:
            path = [here]
            while (before := came[path[-1]]) is not None:
                path.append(before)
            return path
        for other in neighbours[here]:
            if other not in came:
                came[other] = here
                queue.append(other)
    return None
