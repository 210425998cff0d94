"""Schema → text, in the quotes and types of a dialect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlglot import exp, parse_one
from sqlglot.dialects.dialect import Dialect as SqlglotDialect
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError, SchemaError
from sqlora.sql.schema.folding import PLAIN, folded
from sqlora.sql.schema.schema import Column, ForeignKey, Schema, Style, Table

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect


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

COMMENT_LENGTH = 160  # characters of a comment in a prompt

Quote = Callable[[str], str]


class Rendering:
    """The schema's tables as a model is shown them, piece by piece, so that `sqlora.sql.schema.prune` can weigh them.

    A table is its head, its columns and keys with a separator between, and its tail. SchemaError for a style that is
    none.
    """

    def __init__(self, schema: Schema, style: Style = "compact", dialect: Dialect | None = None) -> None:
        if style not in ("compact", "ddl"):
            raise SchemaError(f"no schema style {style!r}", "choose 'compact' or 'ddl'")
        self.style = style
        self._base, self._dialect = schema.dialect, dialect
        self._quote = quoting(schema, dialect)

    def join(self, tables: Iterable[str]) -> str:
        """The text of all of them."""
        return ("\n" if self.style == "compact" else "\n\n").join(tables)

    def table(self, table: Table) -> str:
        """The text of one table."""
        if self.style == "ddl":
            return _create(table, self._base, self._quote, self._dialect, COMMENT_LENGTH, self._samples)
        return f"{self.head(table)}{', '.join(self.column(table, column) for column in table.columns)})"

    def head(self, table: Table) -> str:
        """What a table's text has before its first column."""
        name = _table_name(table, self._quote)
        if self.style == "compact":
            return f"{name}("
        comment = _one_line(table.comment, COMMENT_LENGTH)
        return (f"-- {comment}\n" if comment else "") + f"CREATE TABLE {name} (\n);\n\n"

    def column(self, table: Table, column: Column) -> str:
        """A column's own text."""
        if self.style == "ddl":
            text, comment = _column_line(table, column, self._base, self._quote, self._dialect)
            comment = _remark(_one_line(comment, COMMENT_LENGTH), self._samples(column))
            return f"  {text}," + (f" -- {comment}" if comment else "") + "\n"
        samples = self._samples(column)
        return self._quote(column.name) + (f" {{{samples}}}" if samples else "")

    def key(self, key: ForeignKey) -> str:
        """A foreign key's own text; '' in the compact style."""
        return f"  {_foreign(key, self._quote)},\n" if self.style == "ddl" else ""

    def _samples(self, column: Column) -> str:
        return ", ".join(self._string(_one_line(value, None)) for value in column.samples)

    def _string(self, value: str) -> str:
        """The value as a string of the dialect."""
        literal = exp.Literal.string(value)
        try:
            return self._dialect.generate(literal) if self._dialect else literal.sql(dialect=self._base)
        except (SqlglotError, DialectError):
            return literal.sql()


def render_ddl(schema: Schema, dialect: Dialect | None = None) -> str:
    """CREATE TABLE statements; comments on one line each."""
    quote = quoting(schema, dialect)
    return "\n\n".join(_create(table, schema.dialect, quote, dialect) for table in schema.tables)


def quoting(schema: Schema, dialect: Dialect | None) -> Quote:
    """A function that writes a name as the dialect's queries have it: in its case, in quotes where it needs them."""
    base = dialect.base if dialect else schema.dialect
    spec = dialect.spec if dialect else None
    if spec is not None:
        opening, closing = spec.identifier_quotes
    else:
        opening, closing = _quotes_of(base)
    reserved = _reserved(base)
    words = _words(dialect) if dialect else None

    def quote(name: str) -> str:
        quoted = not _is_plain(name, base, reserved)
        if dialect is not None and dialect.has_case:
            name, quoted = dialect.written_name(name, quoted)
        if not quoted and (words is None or dialect is None or words.takes(name, dialect)):
            return name
        return opening + name.replace(closing, closing * 2) + closing

    return lru_cache(maxsize=None)(quote)


def _quotes_of(base: str) -> tuple[str, str]:
    text = exp.to_identifier("x", quoted=True).sql(dialect=base)
    return text[0], text[-1]


@lru_cache(maxsize=64)
def _reserved(base: str) -> frozenset[str]:
    return RESERVED | {word.lower() for word in SqlglotDialect.get_or_raise(base).generator_class.RESERVED_KEYWORDS}


def _is_plain(name: str, base: str, reserved: frozenset[str]) -> bool:
    if not PLAIN.fullmatch(name) or name.lower() in reserved:
        return False
    return name == folded(name, base)  # in the other case it must be quoted to be found


class _Words:
    """Which bare words a dialect takes for the name of a table and of a column."""

    def __init__(self, dialect: Dialect) -> None:
        base = SqlglotDialect.get_or_raise(dialect.base)
        # The base's keywords, and the few words that its parser looks at though its tokenizer does not.
        special = {*base.tokenizer_class.KEYWORDS, *base.parser_class.NO_PAREN_FUNCTION_PARSERS, *BY_TEXT}
        texts = " ".join([*special, repr(dialect.spec)])  # and whatever the house's file speaks of
        self._special = frozenset(re.findall(r"\w+", texts.lower()))
        # Not the dialect itself: it would be kept alive by what is kept for it.
        self._known: dict[str, bool] = {}
        self._query = _query(dialect)

    def takes(self, name: str, dialect: Dialect) -> bool:
        """Whether ``name`` needs no quotes. Words that nothing makes special are not parsed, which takes long."""
        if name.lower() not in self._special:
            return True
        if name not in self._known:
            self._known[name] = _parses(name, self._query, dialect)
        return self._known[name]


# Words that sqlglot's parsers look for by their text alone where a name may stand.
BY_TEXT = (
    "as", "distinct", "kind", "percent", "sample", "struct", "value", "for", "next", "prior", "period", "version"
)  # fmt: skip
_WORDS: WeakKeyDictionary[Dialect, _Words] = WeakKeyDictionary()


def _words(dialect: Dialect) -> _Words:
    """Kept as long as the dialect: sources bring a schema with every question."""
    if dialect not in _WORDS:
        _WORDS[dialect] = _Words(dialect)
    return _WORDS[dialect]


_NAME = "name_to_be"


def _query(dialect: Dialect) -> str:
    """A query in the dialect, whose table and column are called `_NAME`."""
    query = f"SELECT {_NAME} FROM {_NAME} WHERE {_NAME} = 1 ORDER BY {_NAME}"
    if dialect.spec is None:
        return query
    try:
        return re.sub(_NAME, _NAME, dialect.generate(parse_one(query, read=dialect.base)), flags=re.IGNORECASE)
    except (SqlglotError, DialectError):
        return query


def _parses(name: str, query: str, dialect: Dialect) -> bool:
    """Whether the dialect's own parser takes the bare word for a table and for a column."""
    try:
        tree = dialect.parse(query.replace(_NAME, name))
    except DialectError:
        return False
    chosen = tree.selects
    return len(chosen) == 1 and isinstance(chosen[0], exp.Column) and chosen[0].name.lower() == name.lower()


def _table_name(table: Table, quote: Quote) -> str:
    return f"{quote(table.namespace)}.{quote(table.name)}" if table.namespace else quote(table.name)


def _create(
    table: Table,
    base: str,
    quote: Quote,
    dialect: Dialect | None,
    comment_length: int | None = None,
    samples: Callable[[Column], str] = lambda column: "",
) -> str:
    lines: list[tuple[str, str]] = []
    for column in table.columns:
        text, comment = _column_line(table, column, base, quote, dialect)
        lines.append((text, _remark(_one_line(comment, comment_length), samples(column))))
    if len(table.primary_key) > 1:
        lines.append((f"PRIMARY KEY ({_names(table.primary_key, quote)})", ""))
    lines += [(_foreign(key, quote), "") for key in table.foreign_keys]
    body = "\n".join(
        f"  {text}{',' if number < len(lines) else ''}{f' -- {comment}' if comment else ''}"
        for number, (text, comment) in enumerate(lines, 1)
    )
    comment = _one_line(table.comment, comment_length)
    return (f"-- {comment}\n" if comment else "") + f"CREATE TABLE {_table_name(table, quote)} (\n{body}\n);"


def _column_line(table: Table, column: Column, base: str, quote: Quote, dialect: Dialect | None) -> tuple[str, str]:
    """The column's definition, and its comment."""
    parts = [quote(column.name)]
    if column.type:
        parts.append(_type(column.type, base, dialect))
    if table.primary_key == (column.name,):
        parts.append("PRIMARY KEY")
    elif not column.nullable and column.name not in table.primary_key:
        parts.append("NOT NULL")
    return " ".join(parts), column.comment


def _remark(comment: str, samples: str) -> str:
    return "; ".join(filter(None, (comment, f"such as {samples}" if samples else "")))


def _foreign(key: ForeignKey, quote: Quote) -> str:
    target = f"{quote(key.namespace)}.{quote(key.table)}" if key.namespace else quote(key.table)
    columns = f" ({_names(key.referenced_columns, quote)})" if key.referenced_columns else ""
    return f"FOREIGN KEY ({_names(key.columns, quote)}) REFERENCES {target}{columns}"


def _names(names: tuple[str, ...], quote: Quote) -> str:
    return ", ".join(quote(name) for name in names)


@lru_cache(maxsize=4096)
def _type(type_: str, base: str, dialect: Dialect | None) -> str:
    if dialect is None:
        return type_
    try:
        return dialect.generate(exp.DataType.build(type_, dialect=base))
    except (SqlglotError, DialectError):
        return type_


def _one_line(comment: str, length: int | None) -> str:
    text = " ".join(comment.split())
    if length is not None and len(text) > length:
        return text[: length - 1].rstrip() + "…"
    return text
