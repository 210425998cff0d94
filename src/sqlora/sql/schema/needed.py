"""Which tables and columns a query needs, and how many of them a pruned schema still shows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlglot import exp

from sqlora.sql.schema.schema import Schema, Table


@dataclass(frozen=True)
class Needed:
    """Tables by qualified name, and columns by qualified table and name, in lower case."""

    tables: frozenset[str] = frozenset()
    columns: frozenset[tuple[str, str]] = frozenset()


NOTHING = Needed()


@dataclass(frozen=True)
class Recall:
    """How much of what queries need was shown: over ``queries``, of which ``whole`` had all. Adds up."""

    queries: int = 0
    whole: int = 0
    tables: int = 0
    tables_found: int = 0
    columns: int = 0
    columns_found: int = 0

    def __add__(self, other: Recall) -> Recall:
        return Recall(
            self.queries + other.queries,
            self.whole + other.whole,
            self.tables + other.tables,
            self.tables_found + other.tables_found,
            self.columns + other.columns,
            self.columns_found + other.columns_found,
        )

    @property
    def whole_share(self) -> float:
        """Share of the queries whose tables and columns were all shown; 1 where there is none."""
        return self.whole / self.queries if self.queries else 1.0

    @property
    def table_share(self) -> float:
        """Share of the needed tables that were shown."""
        return self.tables_found / self.tables if self.tables else 1.0

    @property
    def column_share(self) -> float:
        """Share of the needed columns that were shown."""
        return self.columns_found / self.columns if self.columns else 1.0


def needed_by(tree: exp.Expr, schema: Schema) -> Needed:
    """What a query names. A column without its table counts for each of the query's tables that has it; a `*` names
    none.
    """
    made = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    aliases: defaultdict[str, dict[str, Table]] = defaultdict(dict)
    tables: dict[str, Table] = {}
    for node in tree.find_all(exp.Table):
        if not node.db and node.name.lower() in made:
            continue
        found = schema.get(node.name, node.db)
        if found is not None:
            name = found.qualified_name.lower()
            tables[name] = aliases[node.alias_or_name.lower()][name] = found
    columns: set[tuple[str, str]] = set()
    for column in tree.find_all(exp.Column):
        named = aliases.get(column.table.lower(), {}) if column.table else tables
        columns |= {(name, column.name.lower()) for name, table in named.items() if table.get(column.name)}
    for join in tree.find_all(exp.Join):
        for key in join.args.get("using") or ():
            columns |= {(name, key.name.lower()) for name, table in tables.items() if table.get(key.name)}
    return Needed(frozenset(tables), frozenset(columns))


def recall(shown: Schema, needed: Needed) -> Recall:
    """How much of what one query needs a schema shows."""
    tables = sum(shown.get(name) is not None for name in needed.tables)
    columns = sum(
        (found := shown.get(table)) is not None and found.get(column) is not None for table, column in needed.columns
    )
    whole = tables == len(needed.tables) and columns == len(needed.columns)
    return Recall(1, int(whole), len(needed.tables), tables, len(needed.columns), columns)
