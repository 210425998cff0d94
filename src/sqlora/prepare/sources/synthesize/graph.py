"""How tables hang together: from a table to what each of its rows belongs to, along foreign keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sqlora.sql.schema import Schema


@dataclass(frozen=True)
class Edge:
    """Each row of ``source`` has at most one row of ``target``; ``columns`` pairs their columns.

    ``certain`` is false where the key may be NULL, so that joining loses rows.
    """

    source: str
    target: str
    columns: tuple[tuple[str, str], ...]
    certain: bool = True

    @property
    def using(self) -> bool:
        """Whether the columns are called the same on both sides."""
        return all(left == right for left, right in self.columns)


@dataclass(frozen=True)
class Graph:
    """The many-to-one edges of a schema, with those that a glossary adds."""

    schema: Schema
    added: tuple[Edge, ...] = ()

    @cached_property
    def edges(self) -> dict[str, list[Edge]]:
        """By source, in the order of the schema."""
        found: dict[str, list[Edge]] = {table.name: [] for table in self.schema.tables}
        for table in self.schema.tables:
            for key in table.foreign_keys:
                target = self.schema.get(key.table, key.namespace)
                if target is None or target.name == table.name or len(key.columns) != len(key.referenced_columns):
                    continue  # nothing keeps DDL from naming what is not there
                nullable = any((column := table.get(name)) and column.nullable for name in key.columns)
                pairs = tuple(zip(key.columns, key.referenced_columns, strict=True))
                found[table.name].append(Edge(table.name, target.name, pairs, not nullable))
        for edge in self.added:
            found[edge.source].append(edge)
        return found

    @cached_property
    def paths(self) -> dict[str, dict[str, tuple[Edge, ...]]]:
        """Source → target → the shortest way there. A target reached twice over by equally short ways is left out."""
        return {table.name: self._paths_from(table.name) for table in self.schema.tables}

    def _paths_from(self, source: str) -> dict[str, tuple[Edge, ...]]:
        paths: dict[str, tuple[Edge, ...]] = {source: ()}
        unclear: set[str] = set()
        waiting = deque([source])
        while waiting:
            table = waiting.popleft()
            for edge in self.edges[table]:
                if edge.target not in paths:
                    paths[edge.target] = (*paths[table], edge)
                    waiting.append(edge.target)
                elif len(paths[edge.target]) == len(paths[table]) + 1 and paths[edge.target][-1] != edge:
                    unclear.add(edge.target)
        return {
            target: path
            for target, path in paths.items()
            if not any(edge.target in unclear for edge in path)
        }

    def reach(self, source: str) -> list[str]:
        """``source`` and every table that its rows belong to, nearest first."""
        return list(self.paths[source])

    def join(self, root: str, needed: Iterable[str]) -> list[Edge] | None:
        """The joins that bring ``needed`` to ``root``, in the schema's order; None when they can't be written plainly.

        A key called the same in three of the joined tables would be ambiguous in USING.
        """
        wanted: set[Edge] = set()
        for table in needed:
            path = self.paths[root].get(table)
            if path is None:
                return None
            wanted.update(path)
        joins: list[Edge] = []
        self._walk(root, wanted, joins)
        return joins if self._plain(root, joins) else None

    def _walk(self, table: str, wanted: set[Edge], joins: list[Edge]) -> None:
        for edge in self.edges[table]:
            if edge in wanted:
                joins.append(edge)
                self._walk(edge.target, wanted, joins)

    def _plain(self, root: str, joins: list[Edge]) -> bool:
        merged: dict[str, set[str]] = {}  # a USING key → the tables that it has made one of
        tables = [root]
        for edge in joins:
            for left, _ in edge.columns:
                holders = {name for name in tables if self.schema.table(name).get(left)}
                if edge.using and len(holders) > 1 and not holders <= merged.get(left, set()):
                    return False
                merged.setdefault(left, set()).update({edge.source, edge.target} if edge.using else ())
            tables.append(edge.target)
        return True
