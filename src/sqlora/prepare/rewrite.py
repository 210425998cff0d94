"""A query in another dialect → a tree that the project's dialect can write.

Public sets were collected on engines that look away: names in any case, and texts in double quotes, which in standard
SQL quote a name. Both are settled here, by the schema.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError
from sqlora.prepare.contexts import Context
from sqlora.sql.dialect import Dialect
from sqlora.sql.finding import Findings
from sqlora.sql.schema import DEFAULT_NAMESPACES, Table


def read_foreign(sql: str, written_in: Dialect, context: Context) -> exp.Query:
    """The query's tree, its names spelt as in the schema; "…" that names nothing is a text.

    Raises DialectError for what is not one query in ``written_in``.
    """
    tree, places = _parse(sql, written_in), Findings(sql)
    columns: list[exp.Column] = []
    aliases: set[str] = set()
    qualified = bool(context.namespaces)
    for node in tree.walk():
        if isinstance(node, exp.Column):
            columns.append(node)
            qualified = qualified or bool(node.args.get("db"))
        elif isinstance(node, (exp.Alias, exp.TableAlias, exp.CTE, exp.Table)):
            aliases.add(node.alias.lower())
            if isinstance(node, exp.Table):
                context.spell(node.this, context.tables)
                qualified = qualified or bool(node.args.get("db"))
    for column in columns:
        qualifier = column.args.get("table")
        if qualifier is not None and qualifier.name.lower() not in aliases:
            context.spell(qualifier, context.tables)
        if not context.spell(column.this, context.columns) and qualifier is None:
            _settle_text(column, places, {*context.tables, *aliases})
    if qualified:
        qualify(tree, context)
    for node in tree.find_all(exp.Table, exp.Column) if context.namespaces else ():
        context.spell(node.args.get("db"), context.namespaces)
    return tree


def qualify(tree: exp.Expr, context: Context) -> bool:
    """Name the tables (in place) as the schema does, and so as a model is shown them; whether anything changed.

    A log of Snowflake says PROD.SALES.ORDERS, or just ORDERS after USE SCHEMA; the database that it is taught over has
    sales.orders, or no namespaces.
    """
    nodes = [*tree.find_all(exp.Table, exp.Column)]
    if not context.namespaces:  # then a bare name is the schema's
        nodes = [node for node in nodes if node.args.get("db")]
    if not nodes:
        return False
    made = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    changed = False
    for node in nodes:
        if not node.args.get("db") and (isinstance(node, exp.Column) or node.name.lower() in made):
            continue  # by its table's name or alias; a query of WITH
        name = node.table if isinstance(node, exp.Column) else node.name
        found = context.schema.get(name, node.text("db")) if name else None
        if found is not None:
            changed |= _set_namespace(node, found, context)
    return changed


def _set_namespace(node: exp.Expr, found: Table, context: Context) -> bool:
    before = node.text("catalog"), node.text("db")
    node.set("catalog", None)
    if not found.namespace:
        node.set("db", None)
    elif not before[1] and found.namespace.lower() not in DEFAULT_NAMESPACES and _is_only(found, context):
        node.set("db", exp.to_identifier(found.namespace))
        context.spell(node.args["db"], context.namespaces)
    return before != (node.text("catalog"), node.text("db"))


def _is_only(found: Table, context: Context) -> bool:
    """Whether a bare name can mean no other table."""
    return sum(table.name.lower() == found.name.lower() for table in context.schema.tables) == 1


def _settle_text(node: exp.Column, places: Findings, names: set[str]) -> None:
    """Make a text of ``"Leeds"``, which names nothing."""
    written = places.text(node.this)  # a house dialect's parser forgets quotes that say nothing
    if written.startswith('"') and node.name.lower() not in names:
        node.replace(exp.Literal.string(written[1:-1].replace('""', '"')))


def _parse(sql: str, written_in: Dialect) -> exp.Query:
    if written_in.spec is not None:
        return written_in.parse(sql)
    # Not by `Dialect.parse`, which is strict about reserved words: SQLite's users call columns "order" and don't quote.
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=written_in.base) if tree is not None]
    except (SqlglotError, ValueError) as error:
        raise DialectError(f"{written_in.name}: {str(error).splitlines()[0]}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise DialectError(f"{written_in.name}: one query was expected")
    return trees[0]
