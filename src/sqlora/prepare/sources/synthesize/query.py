"""A query in the making: expressions whose columns carry their table, and the joins found from them.

Written as the style of the corpus wants it: joins by USING from the table of the facts, columns without their table
where one table has them, no aliases.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from sqlora.prepare.sources.synthesize.graph import Edge, Graph
from sqlora.sql.schema import Schema
from sqlora.sql.schema.folding import PLAIN, folded
from sqlora.sql.schema.text import RESERVED


def column(table: str, name: str) -> exp.Column:
    """A column with its table; `Select.build` leaves the table out where the name alone is clear."""
    return exp.Column(this=identifier(name), table=identifier(table))


def identifier(name: str) -> exp.Identifier:
    """A name, marked as quoted where a bare one would not be read as a name."""
    return exp.Identifier(this=name, quoted=not PLAIN.fullmatch(name) or name.lower() in RESERVED)


def folded_names(schema: Schema, base: str) -> frozenset[str]:
    """Names of the schema that stand for others where they are bare: `fullName` is fullname to PostgreSQL."""
    names = {name for table in schema.tables for name in (table.namespace, table.name, *(each.name for each in table.columns))}
    return frozenset(name for name in names if name != folded(name, base))


def with_quotes(tree: exp.Expr, names: frozenset[str]) -> exp.Expr:
    """The tree, each of these names in it marked as quoted (in place), as a prompt shows them."""
    for node in tree.find_all(exp.Identifier) if names else ():
        if node.name in names:
            node.set("quoted", True)
    return tree


@dataclass(frozen=True)
class Select:
    """One SELECT: ``root`` is the table whose rows are counted, the others are joined to it."""

    root: str
    show: tuple[exp.Expr, ...]
    where: tuple[exp.Expr, ...] = ()
    group: tuple[exp.Expr, ...] = ()
    having: tuple[exp.Expr, ...] = ()
    order: tuple[tuple[exp.Expr, bool], ...] = ()  # (expression, descending)
    limit: int | None = None
    offset: int | None = None
    distinct: bool = False
    tables: tuple[str, ...] = field(default=())  # joined although nothing names them
    outer: tuple[str, ...] = field(default=())  # tables of the query around this one, which it may name

    def build(self, graph: Graph) -> exp.Select | None:
        """The tree; None where the tables can't be joined plainly."""
        parts = [*self.show, *self.where, *self.group, *self.having, *(item for item, _ in self.order)]
        needed = {name: None for name in self.tables}
        for part in parts:
            needed.update(dict.fromkeys(_tables(part)))
        joins = graph.join(self.root, [name for name in needed if name not in self.outer])
        if joins is None:
            return None
        scope = [self.root, *(edge.target for edge in joins)]
        plain = _Plain(graph, scope, joins, self.outer)
        query = exp.select(*(plain(item) for item in self.show)).from_(table_node(graph.schema, self.root))
        for edge in joins:
            query = query.join(self._join(edge, plain, graph), copy=False)
        if self.distinct:
            query = query.distinct(copy=False)
        conditions = [plain(item) for item in self.where]
        if conditions:
            query = query.where(*conditions, copy=False)
        if self.group:
            query = query.group_by(*(plain(item) for item in self.group), copy=False)
        if self.having:
            query = query.having(*(plain(item) for item in self.having), copy=False)
        for item, descending in self.order:
            # desc=None for ascending: False would be spelled out as ASC
            query = query.order_by(exp.Ordered(this=plain(item), desc=descending or None), copy=False)
        if self.limit is not None:
            query = query.limit(self.limit, copy=False)
        if self.offset:
            query = query.offset(self.offset, copy=False)
        return query

    @staticmethod
    def _join(edge: Edge, plain: _Plain, graph: Graph) -> exp.Join:
        target = table_node(graph.schema, edge.target)
        if edge.using:
            return exp.Join(this=target, using=[identifier(left) for left, _ in edge.columns])
        pairs = [exp.EQ(this=column(edge.source, left), expression=column(edge.target, right))
                 for left, right in edge.columns]  # fmt: skip
        return exp.Join(this=target, on=exp.and_(*(plain(pair) for pair in pairs)))


def table_node(schema: Schema, name: str) -> exp.Table:
    """A table in FROM or JOIN, with its namespace where it is not in the default one."""
    namespace = schema.table(name).namespace
    return exp.Table(this=identifier(name), db=identifier(namespace) if namespace else None)


def _tables(part: exp.Expr) -> list[str]:
    """Tables named in ``part``; a subquery in it is complete and looks after its own."""
    return [node.table for node in part.walk(prune=lambda node: isinstance(node, exp.Subquery | exp.Select))
            if isinstance(node, exp.Column) and node.table]  # fmt: skip


class _Plain:
    """Drops the table of every column that is clear without it."""

    def __init__(self, graph: Graph, scope: list[str], joins: list[Edge], outer: tuple[str, ...]) -> None:
        outside = {found.name for name in outer for found in graph.schema.table(name).columns}
        self.merged = {left for edge in joins if edge.using for left, _ in edge.columns} - outside
        self.holders: dict[str, int] = {}
        for name in [*scope, *outer]:
            for found in graph.schema.table(name).columns:
                self.holders[found.name] = self.holders.get(found.name, 0) + 1

    def __call__(self, part: exp.Expr) -> exp.Expr:
        def plain(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and (self.holders.get(node.name, 0) == 1 or node.name in self.merged):
                return exp.Column(this=node.this.copy())
            return node

        copy = part.copy()
        for node in list(copy.walk(prune=lambda node: isinstance(node, exp.Subquery | exp.Select))):
            if isinstance(node, exp.Column) and (changed := plain(node)) is not node:
                if node is copy:
                    return changed
                node.replace(changed)
        return copy
