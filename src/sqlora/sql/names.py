"""Does every name in a query stand for something? Tables, columns, aliases, CTEs, correlated subqueries,
USING.

Where a source's columns can't be known (a table function, PIVOT, an unnamed expression in a subquery) it
takes any name: a name is reported only when it is certain to be wrong. The engine has the last word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from sqlglot import exp

from sqlora.sql.finding import Findings
from sqlora.sql.schema import DEFAULT_NAMESPACES, Schema, Table
from sqlora.sql.spelling import Spelling, Spelt

Output = tuple[str, ...] | None  # names of the columns that come out; None: any name may
Tables = dict[str, Output]  # CTEs in sight, by lower-case name

ROW_IDS = {"rowid", "_rowid_", "oid"}
SOURCES = ("from_", "from", "joins", "laterals", "with_", "with")  # resolved apart from the expressions


@dataclass
class Source:
    """Something in FROM: its name in the query (lower case) and its columns; ``spelt`` maps these to the database's
    names where case matters, ``exact`` is its own name then.
    """

    name: str
    columns: Output
    spelt: Spelt | None = None
    exact: str = ""

    def has(self, column: str) -> bool:
        """Whether the column may be there."""
        return self.columns is None or column in self.columns or column in ROW_IDS


@dataclass
class Scope:
    """Names in sight of one SELECT; ``outer`` are those of the queries around it."""

    outer: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    merged: Counter[str] = field(default_factory=Counter)  # USING column → how many sources share it
    aliases: set[str] = field(default_factory=set)

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    @property
    def open(self) -> bool:
        """Whether some source takes any name."""
        return any(source.columns is None for source in self.sources)

    def holders(self, column: str) -> list[Source]:
        """Sources that certainly have the column."""
        return [source for source in self.sources if source.columns is not None and column in source.columns]


class Resolver:
    """Walks one query and reports names to ``findings``."""

    def __init__(self, schema: Schema, findings: Findings, dialect: str) -> None:
        """``dialect`` is sqlglot's name of the engine that the query is for."""
        self.schema = schema
        self.findings = findings
        self.spelling = Spelling(schema, findings, dialect)

    def query(self, node: exp.Expr, tables: Tables, outer: Scope | None) -> Output:
        """Resolve a query; the names of its columns."""
        tables = self._ctes(node, tables, outer)
        if isinstance(node, (exp.Subquery, exp.Paren)):
            return self._parenthesised(node, tables, outer)
        if isinstance(node, exp.SetOperation):
            left = self.query(node.left, tables, outer)
            self.query(node.right, tables, outer)
            self._tail(node, left, tables, outer)
            return left
        if isinstance(node, exp.Select):
            return self._select(node, tables, outer)
        return None

    def _ctes(self, node: exp.Expr, tables: Tables, outer: Scope | None) -> Tables:
        clause = node.args.get("with_") or node.args.get("with")
        if clause is None:
            return tables
        tables = dict(tables)
        for cte in clause.expressions:
            name, columns = cte.alias.lower(), _alias_columns(cte)
            inner = {**tables, name: columns} if clause.args.get("recursive") else tables
            tables[name] = _renamed(self.query(cte.this, inner, outer), columns)
        return tables

    def _parenthesised(self, node: exp.Expr, tables: Tables, outer: Scope | None) -> Output:
        output = self.query(node.this, tables, outer)
        self._tail(node, output, tables, outer)
        return output

    def _tail(self, node: exp.Expr, output: Output, tables: Tables, outer: Scope | None) -> None:
        """ORDER BY and LIMIT after a set operation or a parenthesis: names of its output."""
        scope = Scope(outer, [Source("", output)])
        for key in ("order", "limit", "offset"):
            if (part := node.args.get(key)) is not None:
                self._expressions([part], scope, tables)

    def _select(self, node: exp.Select, tables: Tables, outer: Scope | None) -> Output:
        scope = Scope(outer)
        clause = node.args.get("from_") or node.args.get("from")
        conditions: list[exp.Expr] = []
        if clause is not None:
            conditions += self._source(clause.this, scope, tables)
        for lateral in node.args.get("laterals") or ():
            conditions += self._source(lateral, scope, tables)
        for join in node.args.get("joins") or ():
            conditions += self._join(join, scope, tables)
        scope.aliases = {item.alias.lower() for item in node.expressions if isinstance(item, exp.Alias)}
        scope.aliases |= {name.lower() for item in node.expressions for name in _many_aliases(item)}
        outputs = {item.alias_or_name.lower() for item in node.expressions} | scope.aliases
        for key, value in node.args.items():
            if key in SOURCES or value is None:
                continue
            parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, exp.Expr)]
            self._expressions(parts, scope, tables, outputs if key == "order" else frozenset())
        self._expressions(conditions, scope, tables)
        return self._output(node, scope)

    def _join(self, join: exp.Join, scope: Scope, tables: Tables) -> list[exp.Expr]:
        """Add the join's source; the conditions to resolve once all sources are known."""
        before = len(scope.sources)
        conditions = self._source(join.this, scope, tables)
        left, right = scope.sources[:before], scope.sources[before:]
        if str(join.args.get("method") or "").upper() == "NATURAL":
            names = {name for source in left for name in source.columns or ()}
            for name in names & {name for source in right for name in source.columns or ()}:
                _merge(scope, name)
        for key in join.args.get("using") or ():
            self._using(key, left, right, scope)
        if (condition := join.args.get("on")) is not None:
            conditions.append(condition)
        return conditions

    def _using(self, key: exp.Expr, left: list[Source], right: list[Source], scope: Scope) -> None:
        name = key.name.lower()
        for side, sources in (("left", left), ("right", right)):
            if not any(source.has(name) for source in sources):
                where = ", ".join(source.name for source in sources)
                self.findings.add(
                    "column",
                    f"no column {key.name!r} on the {side} side of the join ({where})" + self._hint(name, sources),
                    key,
                )
                return
            self.spelling.column(key, sources)
        holders = [source for source in left if source.columns is not None and name in source.columns]
        if len(holders) > max(1, scope.merged[name]):
            self.findings.add("ambiguous", _ambiguous(key.name, holders), key)
        _merge(scope, name)

    def _source(self, node: exp.Expr, scope: Scope, tables: Tables) -> list[exp.Expr]:
        """Add what stands in FROM to the scope; the conditions of joins inside it."""
        conditions: list[exp.Expr] = []
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)) and not node.alias:
            conditions += self._source(node.this, scope, tables)  # (a JOIN b ON …)
        else:
            scope.sources.append(self._named_source(node, scope, tables))
        for join in node.args.get("joins") or ():
            conditions += self._join(join, scope, tables)
        return conditions

    def _named_source(self, node: exp.Expr, scope: Scope, tables: Tables) -> Source:
        name, columns = node.alias_or_name.lower(), _alias_columns(node)
        spelt: Spelt | None = None
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            found, output = self._table(node, tables)
            output = _renamed(output, columns)
            if found is not None and columns is None:
                spelt = self.spelling.columns(found)
        else:
            output = columns
            inner = node.this if isinstance(node, (exp.Subquery, exp.Lateral)) else None
            if isinstance(inner, (exp.Query, exp.Paren)):
                # a subquery in FROM may look at its left neighbours (LATERAL, which DuckDB takes as said)
                output = _renamed(self.query(inner, self._ctes(node, tables, scope), scope), columns)
            else:
                self._expressions([node], scope, tables)
        return Source(name, None if node.args.get("pivots") else output, spelt, self.spelling.own(node))

    def _table(self, node: exp.Table, tables: Tables) -> tuple[Table | None, Output]:
        """The schema's table, unless it is a CTE; and the names of its columns."""
        if not node.db and node.name.lower() in tables:
            return None, tables[node.name.lower()]
        found = self.schema.get(node.name, node.db)
        elsewhere = found is not None and not node.db and found.namespace.lower() not in {"", *DEFAULT_NAMESPACES}
        if found is not None and not elsewhere:
            found = self.spelling.table(node, found)
            return found, tuple(column.name.lower() for column in found.columns)
        written = f"{node.db}.{node.name}" if node.db else node.name
        if elsewhere:  # no engine looks there for a bare name, unless it is told to
            close = [table.qualified_name for table in self.schema.tables if table.name.lower() == node.name.lower()]
        else:
            known = [*(name.lower() for name in self.schema.names), *tables]
            close = get_close_matches(node.name.lower(), known, 1, 0.6)
        self.findings.add(
            "table", f"no table {written!r}" + (f"; did you mean {' or '.join(close[:3])}?" if close else ""), node.this
        )
        return None, None

    def _expressions(
        self, parts: Iterable[exp.Expr], scope: Scope, tables: Tables, first: Iterable[str] = frozenset()
    ) -> None:
        """Resolve the columns of expressions; names in ``first`` are outputs, which go before columns in
        ORDER BY.
        """
        stack = list(parts)
        while stack:
            node = stack.pop()
            if isinstance(node, exp.Query) or (isinstance(node, exp.Paren) and isinstance(node.this, exp.Query)):
                self.query(node, tables, scope)
            elif isinstance(node, exp.Comprehension):
                continue  # its variable looks like a column
            elif isinstance(node, exp.Column):
                if node.table or node.name.lower() not in first:
                    self._column(node, scope)
            else:
                stack.extend(node.iter_expressions(reverse=True))

    def _column(self, node: exp.Column, scope: Scope) -> None:
        if isinstance(node.this, exp.Star):
            if node.table and not any(_find(level, node.table) for level in scope.chain()):
                self._no_source(node, scope)
        elif node.table:
            self._qualified(node, scope)
        else:
            self._bare(node, scope)

    def _qualified(self, node: exp.Column, scope: Scope) -> None:
        name = node.name.lower()
        for level in scope.chain():
            source = _find(level, node.table)
            if source is not None:
                if not source.has(name):
                    self.findings.add(
                        "column", f"no column {node.name!r} in {node.table}" + self._hint(name, [source]), node.this
                    )
                self.spelling.qualifier(node.args["table"], scope)
                self.spelling.column(node.this, [source])
                return
        first = node.parts[0].name.lower()  # struct access: column.field, table.column.field
        for level in scope.chain():
            if level.open or level.holders(first) or _find(level, first) or first in level.aliases:
                return
        self._no_source(node, scope)

    def _no_source(self, node: exp.Column, scope: Scope) -> None:
        if self.schema.get(node.table) is not None:
            alias = self._alias_of(node.table, scope)
            hint = f"; it is called {alias} here" if alias else "; join it first"
        else:
            names = [source.name for level in scope.chain() for source in level.sources]
            close = get_close_matches(node.table.lower(), names, 1, 0.6)
            known = f"; there is {', '.join(sorted(filter(None, names)))}" if any(names) else ""
            hint = f"; did you mean {close[0]}?" if close else known
        self.findings.add("table", f"no table or alias {node.table!r} in FROM{hint}", node.args["table"])

    def _alias_of(self, table: str, scope: Scope) -> str:
        found = self.schema.get(table)
        columns = tuple(column.name.lower() for column in found.columns) if found else ()
        return next((source.name for source in scope.sources if source.columns == columns), "")

    def _bare(self, node: exp.Column, scope: Scope) -> None:
        name = node.name.lower()
        for level in scope.chain():
            holders = level.holders(name)
            if len(holders) > max(1, level.merged[name]):
                if name not in level.aliases:
                    self.findings.add("ambiguous", _ambiguous(node.name, holders), node.this)
                return
            if holders or level.open or name in level.aliases or _find(level, name):
                if holders and not level.open and name not in level.aliases:
                    self.spelling.column(node.this, (source for each in scope.chain() for source in each.sources))
                return
            if name in ROW_IDS and level.sources:
                return
        sources = [source for level in scope.chain() for source in level.sources]
        where = ", ".join(source.name for source in sources if source.name)
        message = f"no column {node.name!r}" + (f" in {where}" if where else "")
        hint = self._hint(name, sources)
        if not hint and self.findings.text(node.this).startswith('"'):
            text = node.name.replace("'", "''")
            hint = f"; text stands in single quotes: '{text}'"
        self.findings.add("column", message + hint, node.this)

    def _hint(self, name: str, sources: list[Source]) -> str:
        """The column of that name in a table that was not joined, or one of a similar name."""
        owners = [table.qualified_name for table in self.schema.tables if table.get(name) is not None]
        owners = [owner for owner in owners if owner.lower() not in {source.name for source in sources}]
        if owners:
            return f"; it is in {', '.join(owners[:3])}"
        near = [column for source in sources for column in source.columns or ()]
        every = [column.name.lower() for table in self.schema.tables for column in table.columns]
        close = get_close_matches(name, near, 1, 0.6) or get_close_matches(name, every, 1, 0.75)
        return f"; did you mean {close[0]}?" if close else ""

    def _output(self, node: exp.Select, scope: Scope) -> Output:
        names: list[str] = []
        for item in node.expressions:
            star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
            if isinstance(star, exp.Star):
                source = _find(scope, item.table) if isinstance(item, exp.Column) and item.table else None
                sources = [source] if source else scope.sources
                if any(source.columns is None for source in sources):
                    return None
                left_out = {part.name.lower() for key in ("except_", "except") for part in star.args.get(key) or ()}
                # a column shared by USING comes out once; which of two equal names is meant stays open
                names += dict.fromkeys(
                    name for source in sources for name in source.columns or () if name not in left_out
                )
            elif isinstance(item, (exp.Alias, exp.Column)) and not _many_aliases(item):
                names.append(item.alias_or_name.lower())
            else:
                return None
        return tuple(names)


def _find(scope: Scope, name: str) -> Source | None:
    return next((source for source in scope.sources if source.name == name.lower()), None)


def _merge(scope: Scope, name: str) -> None:
    scope.merged[name] = max(1, scope.merged[name]) + 1


def _alias_columns(node: exp.Expr) -> Output:
    alias = node.args.get("alias")
    columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    return tuple(column.name.lower() for column in columns) if columns else None


def _renamed(output: Output, columns: Output) -> Output:
    """Columns renamed by `AS t(a, b)`; there may be fewer new names than columns."""
    if columns is None or output is None:
        return columns if columns is not None else output
    return columns + output[len(columns) :]


def _many_aliases(item: exp.Expr) -> list[str]:
    return [found.name for found in item.args.get("aliases") or ()] if isinstance(item, exp.Aliases) else []


def _ambiguous(name: str, holders: list[Source]) -> str:
    owners = [source.name for source in holders]
    return f"column {name!r} is in {' and in '.join(owners)}; write {owners[0]}.{name}"
