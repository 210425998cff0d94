"""How much the tables and columns of a schema have to do with a question: words in common."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from itertools import pairwise
from typing import TypeVar

from sqlora.sql.schema.schema import Schema

NAME_WEIGHT, COLUMN_WEIGHT, COMMENT_WEIGHT, SAMPLE_WEIGHT = 3.0, 1.0, 0.5, 1.5
STOP = frozenset(
    """
    a all an and any are as at be been by can did do does each every for from give find had has have how i id in is it
    its list many me more most much name of on or our per please show tell than that the their them there these they
    this those to was we were what when where which who whose with you your
    """.split()  # noqa: SIM905
)


Key = TypeVar("Key")


class Index:
    """The words of a schema, and what they stand in."""

    def __init__(self, schema: Schema) -> None:
        self._tables: defaultdict[str, dict[int, float]] = defaultdict(dict)
        self._columns: defaultdict[str, dict[tuple[int, int], float]] = defaultdict(dict)
        for place, table in enumerate(schema.tables):
            for text, weight in (
                (table.name, NAME_WEIGHT),
                (table.namespace, NAME_WEIGHT),
                (table.comment, COMMENT_WEIGHT),
            ):
                for word in name_words(text):
                    _note(self._tables[word], place, weight)
            for number, column in enumerate(table.columns):
                texts = [(column.name, COLUMN_WEIGHT), (column.comment, COMMENT_WEIGHT)]
                for text, weight in [*texts, *((sample, SAMPLE_WEIGHT) for sample in column.samples)]:
                    for word in name_words(text):
                        _note(self._columns[word], (place, number), weight)
        # Inverse frequency: a word that many tables have says little about any of them.
        with_word = {
            word: len({*self._tables.get(word, ()), *(place for place, _ in self._columns.get(word, ()))})
            for word in {*self._tables, *self._columns}
        }
        self._rarity = {word: math.log(1 + len(schema.tables) / count) for word, count in with_word.items()}

    def scores(self, question: str) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
        """Scores of tables and of columns (by table and column) above zero."""
        best: dict[tuple[int, str], float] = {}
        columns: defaultdict[tuple[int, int], float] = defaultdict(float)
        for word in asked_words(question):
            rarity = self._rarity.get(word, 0.0)
            for place, weight in self._tables.get(word, {}).items():
                best[place, word] = weight * rarity
            for (place, number), weight in self._columns.get(word, {}).items():
                columns[place, number] += weight * rarity
                best[place, word] = max(best.get((place, word), 0.0), weight * rarity)
        tables: defaultdict[int, float] = defaultdict(float)
        for (place, _), score in best.items():
            tables[place] += score
        return dict(tables), dict(columns)


def _note(found: dict[Key, float], key: Key, weight: float) -> None:
    found[key] = max(weight, found.get(key, 0.0))


def name_words(text: str) -> set[str]:
    """The words of a name or a comment: `storeName`, `store_names` and "stores' names" all give store and name."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return {stem(word) for word in re.findall(r"[^\W_]+", spaced.lower()) if word not in STOP}


def asked_words(question: str) -> set[str]:
    """The words of a question, and neighbours written as one, as names often are: "first name" is also `firstname`."""
    words = [stem(word) for word in re.findall(r"[^\W_]+", question.lower())]
    pairs = {first + second for first, second in pairwise(words)}
    return {word for word in words if word not in STOP} | pairs


ENDINGS = ("ing", "ed", "er", "or")


def stem(word: str) -> str:
    """The word without the endings that a question and a name differ in: countries, country; reviewed, reviewers."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "ches", "shes", "xes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    ending = next((each for each in ENDINGS if word.endswith(each) and len(word) > len(each) + 3), "")
    word = word.removesuffix(ending)
    if ending and word[-1] == word[-2] and word[-1] not in "sl":  # planned, plan
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("e") else word
