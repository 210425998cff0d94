"""Schema → text, in the quotes and types of a dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as SqlglotDialect
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError
from sqlora.sql.schema import Column, Schema, Table

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Dialects that fold names to lower (or upper) case: a name in the other case must be quoted to be found.
FOLD_LOWER = {"postgres", "redshift", "materialize", "risingwave"}
FOLD_UPPER = {"oracle", "snowflake", "exasol"}

# Reserved in SQL:2016 and in at least one of DuckDB, PostgreSQL, SQLite, MySQL.
RESERVED = frozenset(
    """
    add all alter analyse analyze and any array as asc asymmetric both by case cast check collate column
    commit constraint create cross current current_date current_role current_time current_timestamp
    current_user database default deferrable delete desc describe distinct do drop else end escape except
    exists explain false fetch for foreign from full function grant group grouping having if in index
    initially inner insert intersect interval into is join key lateral leading left like limit localtime
    localtimestamp match natural not null offset on only or order outer over partition pivot placing primary
    qualify range references returning right row rows select session_user set show similar some summarize
    symmetric table tablesample then to trailing transaction trigger true union unique unpivot update user
    using values variadic view when where window with
    """.split()  # noqa: SIM905
)

Quote = Callable[[str], str]


def render_compact(schema: Schema, dialect: Dialect | None = None) -> str:
    """One line a table: `store(store_id, store_name)`."""
    quote = quoting(schema, dialect)
    return "\n".join(
        f"{_table_name(table, quote)}({', '.join(quote(column.name) for column in table.columns)})"
        for table in schema.tables
    )


def render_ddl(schema: Schema, dialect: Dialect | None = None, comment_length: int | None = None) -> str:
    """CREATE TABLE statements; comments on one line each, cut at ``comment_length``."""
    quote = quoting(schema, dialect)
    return "\n\n".join(_create(table, schema.dialect, quote, dialect, comment_length) for table in schema.tables)


def quoting(schema: Schema, dialect: Dialect | None) -> Quote:
    """A function that puts an identifier into quotes where the dialect needs them."""
    base = dialect.base if dialect else schema.dialect
    spec = dialect.spec if dialect else None
    if spec is not None:
        opening, closing = spec.identifier_quotes
    else:
        opening, closing = _quotes_of(base)

    def quote(name: str) -> str:
        if _is_plain(name, base) and (dialect is None or _parses(name, dialect)):
            return name
        return opening + name.replace(closing, closing * 2) + closing

    return lru_cache(maxsize=None)(quote)


def _quotes_of(base: str) -> tuple[str, str]:
    text = exp.to_identifier("x", quoted=True).sql(dialect=base)
    return text[0], text[-1]


def _is_plain(name: str, base: str) -> bool:
    if not PLAIN.fullmatch(name) or name.lower() in RESERVED:
        return False
    if name.lower() in {word.lower() for word in SqlglotDialect.get_or_raise(base).generator_class.RESERVED_KEYWORDS}:
        return False
    if base in FOLD_LOWER:
        return name == name.lower()
    return name == name.upper() if base in FOLD_UPPER else True


def _parses(name: str, dialect: Dialect) -> bool:
    """Whether the dialect's own parser takes the bare word for a table and for a column."""
    try:
        tree = dialect.parse(f"SELECT {name} FROM {name} WHERE {name} = 1 ORDER BY {name}")
    except DialectError:
        return False
    chosen = tree.selects
    return len(chosen) == 1 and isinstance(chosen[0], exp.Column) and chosen[0].name == name


def _table_name(table: Table, quote: Quote) -> str:
    return f"{quote(table.namespace)}.{quote(table.name)}" if table.namespace else quote(table.name)


def _create(table: Table, base: str, quote: Quote, dialect: Dialect | None, comment_length: int | None) -> str:
    single = table.primary_key[0] if len(table.primary_key) == 1 else None
    lines = []
    for column in table.columns:
        parts = [quote(column.name)]
        if column.type:
            parts.append(_type(column, base, dialect))
        if column.name == single:
            parts.append("PRIMARY KEY")
        elif not column.nullable and column.name not in table.primary_key:
            parts.append("NOT NULL")
        lines.append((" ".join(parts), _one_line(column.comment, comment_length)))
    if len(table.primary_key) > 1:
        lines.append((f"PRIMARY KEY ({_names(table.primary_key, quote)})", ""))
    for key in table.foreign_keys:
        target = quote(key.table) + (f" ({_names(key.referenced_columns, quote)})" if key.referenced_columns else "")
        lines.append((f"FOREIGN KEY ({_names(key.columns, quote)}) REFERENCES {target}", ""))
    body = "\n".join(
        f"  {text}{',' if number < len(lines) else ''}{f' -- {comment}' if comment else ''}"
        for number, (text, comment) in enumerate(lines, 1)
    )
    comment = _one_line(table.comment, comment_length)
    return (f"-- {comment}\n" if comment else "") + f"CREATE TABLE {_table_name(table, quote)} (\n{body}\n);"


def _names(names: tuple[str, ...], quote: Quote) -> str:
    return ", ".join(quote(name) for name in names)


def _type(column: Column, base: str, dialect: Dialect | None) -> str:
    if dialect is None:
        return column.type
    try:
        return dialect.generate(exp.DataType.build(column.type, dialect=base))
    except (SqlglotError, DialectError):
        return column.type


def _one_line(comment: str, length: int | None) -> str:
    text = " ".join(comment.split())
    if length is not None and len(text) > length:
        return text[: length - 1].rstrip() + "…"
    return text
