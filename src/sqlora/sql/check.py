"""Is a query safe to run and does it make sense? Everything that can be known without running it.

1. it parses in the dialect, and is exactly one SELECT (or set operation) — anything else is refused by not
being on
   the list: kinds of nodes are allowed, not forbidden, so what sqlglot learns tomorrow is refused until
   looked at;
2. it calls only functions that compute (`sqlora.sql.functions`);
3. it names only tables and columns that the schema has (`sqlora.sql.names`).

The engine is locked as well (`sqlora.sql.execute.duckdb_database`): neither trusts the other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError
from sqlora.sql import functions
from sqlora.sql.finding import Finding, Findings, kind_of
from sqlora.sql.names import Resolver
from sqlora.sql.schema import Schema

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect

__all__ = ["Finding", "check"]

LONGEST = 50_000  # characters; parsing takes a second for each 20,000
MOST_COPIES = 1_000  # of the queries in WITH, once each reference is replaced by its query, as engines do
ROOTS = (exp.Select, exp.SetOperation)

# What a query may be made of, besides expressions (exp.Condition) and functions.
PARTS = (
    exp.Query, exp.Alias, exp.Aliases, exp.AtTimeZone, exp.CTE, exp.ColumnDef, exp.Comprehension, exp.Cube,
    exp.DataType, exp.DataTypeParam, exp.Distinct, exp.Fetch, exp.Filter, exp.From, exp.Group, exp.GroupingSets,
    exp.Having, exp.HavingMax, exp.Identifier, exp.IgnoreNulls, exp.Interval, exp.IntervalSpan, exp.JSONKeyValue,
    exp.JSONPath, exp.JSONPathPart, exp.Join, exp.Lambda, exp.Lateral, exp.Limit, exp.LimitOptions, exp.Offset,
    exp.Order, exp.Ordered, exp.Pivot, exp.Qualify, exp.RespectNulls, exp.Rollup, exp.Slice, exp.Star, exp.Table,
    exp.TableAlias, exp.TableSample, exp.Tuple, exp.Values, exp.Var, exp.Where, exp.WindowSpec, exp.With,
    exp.WithinGroup,
)  # fmt: skip
# Conditions that stand for something outside of the query.
OUTSIDE = (exp.Parameter, exp.Placeholder, exp.SessionParameter)


def check(sql: str, dialect: Dialect, schema: Schema) -> list[Finding]:
    """What is wrong with a query in ``dialect`` over ``schema``; nothing if it may be run.

    Findings stand in the order of the text and have places in it where they can be known.
    """
    findings = Findings(sql)
    if len(sql) > LONGEST:
        return [Finding("syntax", f"the query has {len(sql):,} characters, at most {LONGEST:,} are read")]
    try:
        statements: list[exp.Expr] = list(dialect.parse_any(sql))
    except DialectError as error:
        return [Finding("syntax", error.message, error.line, error.column, error.token)]
    except RecursionError:
        return [Finding("syntax", "the query is nested too deeply")]
    if not _is_one_query(statements, findings):
        return findings.found
    try:
        _look(statements[0], dialect, schema, findings)
    except RecursionError:
        return [Finding("syntax", "the query is nested too deeply")]
    return sorted(findings.found, key=lambda finding: (finding.line, finding.column))


def _look(tree: exp.Expr, dialect: Dialect, schema: Schema, findings: Findings) -> None:
    _check_nodes(tree, dialect, findings)
    if (copies := _expanded(tree)) > MOST_COPIES:
        findings.add("statement", f"its WITH clause stands for {copies:,} copies of its queries, which no engine plans")
    if not findings.found:  # names inside of an INSERT are beside the point
        Resolver(schema, findings, dialect.base).query(tree, {}, None)


def _is_one_query(statements: list[exp.Expr], findings: Findings) -> bool:
    if len(statements) != 1:
        what = f"{len(statements)} statements" if statements else "no statement"
        findings.add("statement", f"one SELECT is run at a time, this is {what}", *statements[1:2])
        return False
    root = statements[0]
    while isinstance(root, (exp.Subquery, exp.Paren)):
        root = root.this
    if not isinstance(root, ROOTS):
        findings.add("statement", f"only SELECT is run, this is {_title(root)}", root)
        return False
    return True


def _expanded(tree: exp.Expr) -> int:
    """How many queries a query is, once the names that WITH gives stand for theirs: WITH b AS (a, a), c AS (b, b), …"""
    copies: dict[str, int] = {}
    for cte in tree.find_all(exp.CTE, bfs=False):
        copies[cte.alias.lower()] = 1 + sum(copies.get(table.name.lower(), 0) for table in cte.this.find_all(exp.Table))
    return max(copies.values(), default=0)


def _check_nodes(tree: exp.Expr, dialect: Dialect, findings: Findings) -> None:
    trusted = _template_functions(dialect)
    for node in tree.walk():
        if isinstance(node, exp.Func):
            _check_function(node, dialect.base, trusted, findings)
        elif isinstance(node, OUTSIDE):
            findings.add("statement", f"{node.sql()} is a parameter: write the value itself", node)
        elif not isinstance(node, (exp.Condition, *PARTS)):
            findings.add("statement", f"{_title(node)} is not allowed in a query that only reads", node)


def _check_function(node: exp.Func, engine: str, trusted: frozenset[str], findings: Findings) -> None:
    name = _name(node)
    written = findings.text(node) or name
    if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)):
        if name not in trusted and name not in functions.allowed(engine):
            findings.add("function", f"the function {written}() is unknown or not allowed", node)
            return
    elif isinstance(node, functions.REFUSED):
        findings.add("function", f"the function {written}() is not allowed", node)
        return
    if isinstance(node.parent, exp.Table) and not isinstance(node, functions.TABLE_FUNCTIONS):
        findings.add("function", f"the function {written}() is not allowed in FROM", node)
    elif (reason := functions.too_large(node)) is not None:
        findings.add("function", f"{written}(): {reason}", node)


def _name(node: exp.Func) -> str:
    if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)):
        return (node.this if isinstance(node.this, str) else node.name).lower()
    return node.sql_name().lower()


def _title(node: exp.Expr) -> str:
    """INSERT, TRUNCATE TABLE; the first word of what sqlglot only knows as a command."""
    if isinstance(node, exp.Command):
        return str(node.this).upper()
    return kind_of(node)


def _template_functions(dialect: Dialect) -> frozenset[str]:
    """Functions that the dialect's own templates call: their author is trusted."""
    if dialect.spec is None:
        return frozenset()
    return _functions_in(tuple(dialect.spec.functions.values()), dialect.base)


@lru_cache(maxsize=64)
def _functions_in(templates: tuple[str, ...], base: str) -> frozenset[str]:
    names: set[str] = set()
    for template in templates:
        try:
            tree = sqlglot.parse_one(template, read=base)
        except SqlglotError:
            continue
        names |= {_name(found) for found in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc)}
    return frozenset(names)
