"""SQLite takes `"Leeds"` for a text where no column has that name, and many collected queries rely on it.

`sqlora.sql.check` reports such names as unknown columns, since a misspelt column would pass for a text
otherwise. Whoever imports SQLite's queries settles them first, with `double_quoted_texts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from sqlora.sql.finding import Findings
from sqlora.sql.schema import Schema

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect


def double_quoted_texts(sql: str, dialect: Dialect, schema: Schema) -> exp.Expr:
    """The query's tree, in which names in double quotes that name nothing are string literals.

    What names something: columns and tables of the schema, and the aliases and CTEs of the query. Raises
    DialectError for what is not a query in the dialect.
    """
    tree, places = dialect.parse(sql), Findings(sql)
    known = {column.name.lower() for table in schema.tables for column in table.columns}
    known |= {table.name.lower() for table in schema.tables}
    known |= {found.alias.lower() for found in tree.find_all(exp.Alias, exp.TableAlias, exp.CTE, exp.Table)}

    def settle(node: exp.Expr) -> exp.Expr:
        if (
            isinstance(node, exp.Column)
            and not node.table
            and node.name.lower() not in known
            and places.text(node.this).startswith('"')  # the parser forgets quotes that say nothing
        ):
            return exp.Literal.string(node.name)
        return node

    return tree.transform(settle)
