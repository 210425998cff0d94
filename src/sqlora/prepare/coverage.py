"""What the data can teach and what is missing from it: SQL constructs, the dialect's own words, tables and columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sqlora.prepare.examples import SPLITS, Example, Split
from sqlora.sql.constructs import CONSTRUCTS
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema

LISTED = 200  # names of what is never used, in a schema of thousands

_WORD = re.compile(r"\w+")
_CALL = re.compile(r"(\w+)\s*\(")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]""")
_SPELT = ("operators", "macros")  # signs, or texts of any kind


class Coverage:
    """Counts, over the examples of a dataset, what their queries have in them."""

    def __init__(self, dialect: Dialect, schema: Schema | None) -> None:
        self._schema = schema
        self._own = own_words(dialect)
        self._by_first: dict[str, list[tuple[str, str]]] = {}
        for kind, words in self._own.items():
            for word in words if kind not in _SPELT else ():
                self._by_first.setdefault(_first(word), []).append((kind, word))
        self._spelt = [(kind, text) for kind in _SPELT for text in self._own.get(kind, ())]
        self._constructs: dict[Split, Counter[str]] = {split: Counter() for split in SPLITS}
        self._words: Counter[tuple[str, str]] = Counter()
        self._uses: Counter[str] = Counter()

    def add(self, example: Example) -> None:
        """One more; its split is set."""
        assert example.split is not None
        self._constructs[example.split].update(example.constructs)
        if example.split != "train":
            return  # what others have in them is not taught
        self._uses.update(example.uses)
        self._words.update(set(self._found(example.sql)))

    def _found(self, sql: str) -> Iterator[tuple[str, str]]:
        """The dialect's own words in a query's text, not in its strings and quoted names; functions where called."""
        upper = _QUOTED.sub(" ", sql).upper()
        calls = set(_CALL.findall(upper))
        for word in set(_WORD.findall(upper)):
            for kind, whole in self._by_first.get(word, ()):
                if whole in (calls if kind == "functions" else upper):
                    yield kind, whole
        for kind, text in self._spelt:
            if text.upper() in upper:
                yield kind, text

    def as_dict(self) -> dict[str, Any]:
        """``constructs`` by group and split, ``untaught`` ones, the ``dialect``'s words, the ``schema``'s names."""
        found: dict[str, Any] = {
            "constructs": {
                group: {name: {split: self._constructs[split][name] for split in SPLITS} for name in names}
                for group, names in CONSTRUCTS.items()
            },
            "untaught": [
                name
                for names in CONSTRUCTS.values()
                for name in names
                if self._constructs["test"][name] and not self._constructs["train"][name]
            ],
            "dialect": {
                kind: {word: self._words[kind, word] for word in words} for kind, words in self._own.items() if words
            },
        }
        if self._schema is not None:
            found["schema"] = self._names(self._schema)
        return found

    def _names(self, schema: Schema) -> dict[str, Any]:
        tables = {table.qualified_name: self._uses[table.qualified_name] for table in schema.tables}
        columns = [f"{table.qualified_name}.{column.name}" for table in schema.tables for column in table.columns]
        used = Counter({name: count for name, count in tables.items() if count})
        unused_columns = [name for name in columns if not self._uses[name] and name.rpartition(".")[0] in used]
        return {
            "tables": len(tables),
            "tables_used": len(used),
            "columns": len(columns),
            "columns_used": sum(1 for name in columns if self._uses[name]),
            "examples_of_table": dict(used.most_common(LISTED)),
            "unused_tables": [name for name, count in tables.items() if not count][:LISTED],
            "unused_columns": unused_columns[:LISTED],
        }


def own_words(dialect: Dialect) -> dict[str, list[str]]:
    """What a house dialect writes in its own way: functions, macros, keywords, operators. Empty for others."""
    spec = dialect.spec
    if spec is None:
        return {}
    pagination = [word for word in (spec.pagination.limit, spec.pagination.offset) if word]
    return {
        "functions": _names(spec.functions),
        "macros": list(spec.macros),
        "keywords": [word.upper() for word in (*spec.keywords, *pagination)],
        "operators": list(spec.operators),
    }


def _names(calls: Mapping[str, str]) -> list[str]:
    """``TALLY()`` and ``TALLY(x)`` are one name."""
    return list(dict.fromkeys(call.partition("(")[0].strip().upper() for call in calls))


def _first(word: str) -> str:
    found = _WORD.match(word)
    return found[0] if found else ""
