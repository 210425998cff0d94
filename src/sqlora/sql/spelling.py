"""The case of names, where the schema is of an engine that tells cases apart and the query is for that engine.

PostgreSQL looks for `fullname` when a query says fullName, and for `fullName` when it says "fullName". Over any other
database a name is one however it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlglot import exp

from sqlora.sql.finding import Findings
from sqlora.sql.schema import Schema, Table
from sqlora.sql.schema.folding import folded, spelling, tells_cases_apart

if TYPE_CHECKING:
    from sqlora.sql.names import Scope, Source

Spelt = dict[str, list[str]]  # names as the database has them, by lower-case name: "Id" may stand beside id


class Spelling:
    """Compares names with the schema's and reports to ``findings``; ``dialect`` is the query's, by sqlglot's name."""

    def __init__(self, schema: Schema, findings: Findings, dialect: str) -> None:
        self.matters = dialect == schema.dialect and tells_cases_apart(dialect)
        self._schema, self._findings = schema, findings

    def exact(self, name: exp.Expr | None) -> str:
        """The name that the engine looks for; '' where case says nothing."""
        if name is None or not self.matters:
            return ""
        return name.name if name.args.get("quoted") else folded(name.name, self._schema.dialect)

    def own(self, source: exp.Expr) -> str:
        """What a source is called by: its alias, or its table's name."""
        alias = source.args.get("alias")
        name = alias.this if isinstance(alias, exp.TableAlias) else alias if alias is not None else source.this
        return self.exact(name) if isinstance(name, exp.Identifier) else ""

    def columns(self, table: Table) -> Spelt | None:
        """The table's columns as the database spells them; None where case says nothing."""
        if not self.matters:
            return None
        found: Spelt = {}
        for column in table.columns:
            found.setdefault(column.name.lower(), []).append(column.name)
        return found

    def table(self, node: exp.Table, found: Table) -> Table:
        """Of the tables that differ in case only, the one that is meant; a finding where none has that spelling."""
        if not self.matters:
            return found
        name, exact = found.qualified_name.lower(), self.exact(node.this)
        alike = [table for table in self._schema.tables if table.qualified_name.lower() == name]
        for table in alike:
            if table.name == exact:
                return table
        self._findings.add("table", f"no table {exact!r}; write {self._said(found.name)}", node.this)
        return found

    def column(self, name: exp.Expr, sources: Iterable[Source]) -> None:
        """A finding where all of the sources that have the column have it in another case."""
        if not self.matters:
            return
        lower, exact = name.name.lower(), self.exact(name)
        holders = [source for source in sources if source.has(lower)]
        spelt = [source.spelt.get(lower, [exact]) if source.spelt is not None else [exact] for source in holders]
        if holders and not any(exact in names for names in spelt):
            where = ", ".join(source.name for source in holders if source.name)
            self._findings.add("column", f"no column {exact!r} in {where}; write {self._said(spelt[0][0])}", name)

    def qualifier(self, name: exp.Expr, scope: Scope) -> None:
        """A finding where the table or alias is called so in another case only."""
        if not self.matters:
            return
        exact, lower = self.exact(name), name.name.lower()
        names = [source.exact for level in scope.chain() for source in level.sources if source.name == lower]
        if all(names) and exact not in names:
            self._findings.add("table", f"no table or alias {exact!r} in FROM; write {self._said(names[0])}", name)

    def _said(self, name: str) -> str:
        return spelling(name, self._schema.dialect)
