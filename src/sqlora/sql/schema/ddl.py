"""DDL text, or a whole dump → Schema, with sqlglot.

Only what makes tables is parsed: a dump's data, settings, indexes and grants are stepped over by their first words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import cast

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as SqlglotDialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.errors import SchemaError
from sqlora.sql.schema.ddl_derived import Find, like_columns, original, selected
from sqlora.sql.schema.ddl_reduced import reduced, reduced_view
from sqlora.sql.schema.folding import folded
from sqlora.sql.schema.schema import DEFAULT_NAMESPACES, Column, ForeignKey, Schema, Table
from sqlora.sql.sqlglot_log import sqlglot_log

# What programs write that make dumps, and what is no SQL. Replaced by as many lines, so that places stay.
NOISE = re.compile(
    r"""
    ^COPY\s[^;]*?\sFROM\s+stdin[^;]*;.*?^\\\.[ ]*$  # pg_dump: the rows of a table
    | ^\\[^\n]*$                                    # psql: \connect
    | ^DELIMITER\b[^\n]*$                           # mysql
    | /\*!.*?\*/                                    # mysqldump: what only some versions run
    | ^--\s(?:Name|Data\sfor\sName):\s[^\n]*;\sType:[^\n]*$  # pg_dump: a heading, which is no comment on the table
    | ^--\s(?:Table|Temporary\sview|Final\sview)\sstructure\sfor\s[^\n]*$
    | ^--\sDumping\sdata\sfor\s[^\n]*$
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
BATCH = re.compile(r"^[ \t]*GO[ \t]*$", re.MULTILINE | re.IGNORECASE)  # SQL Server: the end of a statement
RULE = "-=*#_~/ \t\r\n"  # what a line across the page is drawn with
BANNER = re.compile(r"[-=*#_~]{4}")
KEYS = (TokenType.PRIMARY_KEY, TokenType.FOREIGN_KEY)
# What may stand between CREATE and TABLE or VIEW.
MODIFIERS = frozenset(
    """
    COLUMN DYNAMIC EXTERNAL FOREIGN GLOBAL HYBRID ICEBERG LOCAL MATERIALIZED OR RECURSIVE REPLACE ROW SECURE TEMP
    TEMPORARY TRANSIENT UNLOGGED VOLATILE
    """.split()  # noqa: SIM905
)


def read_ddl(text: str, dialect: str) -> Schema:
    """See `Schema.from_ddl`."""
    tables: dict[str, Table] = {}
    parts: set[str] = set()
    folds = folded("aA", dialect) != "aA"

    def find(table: exp.Table) -> Table | None:
        return tables.get(_key(table.name, table.db))

    commented = any(sign in text for sign in ("--", "/*", "#", "//"))  # else no tree need be searched for comments
    for statement in _parse(text, dialect, parts):
        for name in statement.find_all(exp.Identifier) if folds else ():
            if not name.args.get("quoted"):
                name.set("this", folded(name.name, dialect))
        if isinstance(statement, exp.Create):
            table = _table(statement, find, dialect, commented) or _copy(statement, find) or _view(statement, find)
            if table is not None:
                tables[table.qualified_name.lower()] = table
        elif isinstance(statement, exp.Comment):
            _comment(statement, tables)
        elif isinstance(statement, exp.Alter):
            _alter(statement, tables)
    tables = {key: table for key, table in tables.items() if key not in parts and not _is_inner(table, dialect)}
    if not tables:
        raise SchemaError("no CREATE TABLE statement with columns in the DDL", "export it from the database")
    return Schema(tuple(_complete(table, tables) for table in tables.values()), dialect)


@lru_cache(maxsize=4096)
def canonical_type(text: str, dialect: str) -> str:
    """The type as sqlglot writes it (INTEGER → INT, VARCHAR → TEXT in DuckDB), so that one type has one
    name.
    """
    if not text.strip():
        return ""
    try:
        return exp.DataType.build(text, dialect=dialect).sql(dialect=dialect)
    except SqlglotError:
        return text.strip().upper()


def _parse(text: str, dialect: str, parts: set[str]) -> Iterator[exp.Expression]:
    """The statements that make tables, views, keys and comments, each parsed when it is asked for. Tables that are only
    parts of others are added to ``parts``.
    """
    base = SqlglotDialect.get_or_raise(dialect)
    text = NOISE.sub(lambda found: "\n" * found[0].count("\n"), text)
    text = BATCH.sub(";", text)
    try:
        tokens, parser = base.tokenize(text), base.parser()
        parts |= set(_partitions(tokens))
        for statement in _statements(tokens):
            yield from _parse_one(statement, text, base, parser)
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        raise SchemaError(
            f"line {first.get('line', 0)}, column {first.get('col', 0)} of the DDL: "
            f"{first.get('description', error)} at {first.get('highlight', '')!r}",
            f"is it {dialect}? Correct it, or name the dialect it is in",
        ) from None
    except RecursionError:
        raise SchemaError("the DDL is nested too deeply", "reduce it to columns, keys and comments") from None
    except (SqlglotError, ValueError) as error:
        raise SchemaError(f"the DDL can't be read as {dialect}: {error}") from None


def _parse_one(tokens: list[Token], text: str, base: SqlglotDialect, parser: Parser) -> list[exp.Expression]:
    """One statement's tree, of the reduced statement where the whole is beyond sqlglot; none for what says nothing."""
    error: ParseError | None = None
    trees: list[exp.Expr | None] = []
    try:
        with sqlglot_log():
            trees = list(parser.parse(tokens, text))
    except ParseError as found:
        error = found
    if error is None and not any(isinstance(tree, exp.Command) for tree in trees):
        return [cast(exp.Expression, tree) for tree in trees if tree is not None]
    kind = _kind(tokens)
    if kind in ("TABLE", "VIEW") and (less := _parse_less(tokens, text, base, kind)):
        return less
    if error is not None:
        raise error
    if kind != "TABLE":
        return []  # a view or a change that sqlglot has no word for
    # What sqlglot doesn't understand it keeps as text; a table must not be lost in that way.
    written = " ".join(text[tokens[0].start : tokens[-1].end + 1].split())
    raise SchemaError(
        f"line {tokens[0].line} of the DDL: this can't be understood: {written[:80]}",
        "reduce it to columns, keys and comments",
    )


def _parse_less(tokens: list[Token], text: str, base: SqlglotDialect, kind: str) -> list[exp.Expression]:
    """The tree of the reduced statement; none where that is beyond sqlglot too."""
    less = reduced_view(tokens, text) if kind == "VIEW" else reduced(tokens, text, lambda type_: _is_type(type_, base))
    if less is None:
        return []
    with suppress(SqlglotError), sqlglot_log():
        trees = [tree for tree in base.parse(less.text) if tree is not None]
        if not any(isinstance(tree, exp.Command) for tree in trees):
            for column in [found for tree in trees for found in tree.find_all(exp.ColumnDef)]:
                if (type_ := less.types.get(column.name)) is not None:
                    column.set("kind", exp.DataType(this=exp.DataType.Type.USERDEFINED, kind=type_))
            return [cast(exp.Expression, tree) for tree in trees]
    return []


def _is_type(text: str, base: SqlglotDialect) -> bool:
    """Whether sqlglot takes the text for a column's type."""
    try:
        with sqlglot_log():
            trees = base.parse(f"CREATE TABLE t (c {text})")
    except SqlglotError:
        return False
    return len(trees) == 1 and isinstance(trees[0], exp.Create)


def _statements(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each statement that says something about tables."""
    start = 0
    for end, token in enumerate([*tokens, None]):
        if token is None or token.token_type is TokenType.SEMICOLON:
            statement = tokens[start:end]
            if _kind(statement):
                yield statement
            start = end + 1


def _kind(tokens: list[Token]) -> str:
    """What a statement is about: TABLE, VIEW, KEY, COMMENT; '' for what a schema needs nothing of."""
    words = [token.text.upper() for token in tokens[:8]]
    if words[:2] == ["COMMENT", "ON"]:
        return "COMMENT"
    if words[:2] == ["ALTER", "TABLE"]:
        return "KEY" if any(token.token_type in KEYS for token in tokens) else ""
    if words[:1] != ["CREATE"]:
        return ""
    kind = next((word for word in words[1:] if word not in MODIFIERS), "")
    if kind == "TABLE" and _follows(tokens[:12], "PARTITION", "OF") is not None:
        return ""  # CREATE TABLE t_2024 PARTITION OF t: a part of a table, and no table to ask about
    return kind if kind in ("TABLE", "VIEW") else ""


def _partitions(tokens: list[Token]) -> Iterator[str]:
    """The tables that pg_dump makes first and then ATTACHes to another as its parts."""
    for place, token in enumerate(tokens):
        if token.text.upper() == "ATTACH" and _follows(tokens[place : place + 2], "ATTACH", "PARTITION") == 0:
            name = [part.text for part in tokens[place + 2 : place + 5]]
            yield _key(name[2], name[0]) if name[1:2] == ["."] else _key(name[0], "") if name else ""


def _follows(tokens: list[Token], first: str, second: str) -> int | None:
    """Where the two words stand beside each other."""
    words = [token.text.upper() for token in tokens]
    return next((place for place, pair in enumerate(pairwise(words)) if pair == (first, second)), None)


def _table(create: exp.Create, find: Find, dialect: str, commented: bool) -> Table | None:
    body = create.this
    if create.kind != "TABLE" or not isinstance(body, exp.Schema) or not isinstance(body.this, exp.Table):
        return None
    columns: list[Column] = []
    primary: tuple[str, ...] = ()
    foreign: list[ForeignKey] = []
    for part in body.expressions:
        if isinstance(part, exp.ColumnDef):
            columns.append(_column(part, dialect, commented))
            for constraint in part.args.get("constraints") or ():
                kind = constraint.args.get("kind")
                if isinstance(kind, exp.PrimaryKeyColumnConstraint):
                    primary = (part.name,)
                elif isinstance(kind, exp.Reference):
                    foreign.append(_reference((part.name,), kind))
            continue
        if isinstance(part, (exp.Identifier, exp.Column)):  # a column without a type, as SQLite allows
            columns.append(Column(part.name, "", _text(part.comments)))
            continue
        if isinstance(part, exp.LikeProperty):
            found, key = like_columns(part, find, dialect)
            if not found:
                return None
            columns += found
            primary = key or primary
            continue
        primary = _primary(part) or primary
        foreign += [_foreign(key) for key in part.find_all(exp.ForeignKey)]
    if not columns:
        return None
    comment = _remark(create.comments)
    for option in create.find_all(exp.SchemaCommentProperty):
        comment = option.this.name or comment
    return Table(body.this.name, tuple(columns), primary, tuple(foreign), comment, _namespace(body.this))


def _copy(create: exp.Create, find: Find) -> Table | None:
    """A table that is made after another; what that one references is no part of it."""
    found = original(create, find)
    if found is None or not isinstance(create.this, exp.Table):
        return None
    target = create.this
    return replace(found, name=target.name, namespace=_namespace(target), foreign_keys=(), comment="")


def _view(create: exp.Create, find: Find) -> Table | None:
    """A view, or a table made by a query, whose columns can be told."""
    query, body = create.expression, create.this
    named = body.expressions if isinstance(body, exp.Schema) else []
    target = body.this if isinstance(body, exp.Schema) else body
    if not isinstance(target, exp.Table) or not isinstance(query, exp.Query):
        return None
    columns = selected(query, find)
    if named:
        given = [_name(item) for item in named]
        types = [column.type for column in columns or ()]
        types += [""] * (len(given) - len(types))
        columns = [Column(name, type_) for name, type_ in zip(given, types, strict=False)]
    if not columns:
        return None
    return Table(target.name, tuple(columns), (), (), _remark(create.comments), _namespace(target))


def _is_inner(table: Table, dialect: str) -> bool:
    """SQLite's own tables are in its dumps."""
    return dialect == "sqlite" and table.name.lower().startswith("sqlite_")


def _column(part: exp.ColumnDef, dialect: str, commented: bool) -> Column:
    kinds = [constraint.args.get("kind") for constraint in part.args.get("constraints") or ()]
    comment = _text(part.comments)
    nullable = True
    for kind in kinds:
        if isinstance(kind, exp.CommentColumnConstraint):
            comment = kind.this.name
        if isinstance(kind, exp.NotNullColumnConstraint):
            nullable = bool(kind.args.get("allow_null"))
    type_ = part.args.get("kind")
    if commented and not comment:  # the last column has no comma for the comment to stand behind
        comment = _text(
            [text for node in part.iter_expressions() for each in node.walk() for text in each.comments or ()]
        )
    return Column(part.name, _type(type_, dialect) if type_ else "", comment, nullable)


_TYPES: dict[tuple[str, object], str] = {}


def _type(type_: exp.Expr, dialect: str) -> str:
    """The type's text; of types without arguments each is written once, for that takes longer than reading it."""
    if any(value for key, value in type_.args.items() if key != "this") or not isinstance(type_, exp.DataType):
        return type_.sql(dialect=dialect, comments=False)
    key = dialect, type_.this
    if key not in _TYPES:
        _TYPES[key] = type_.sql(dialect=dialect, comments=False)
    return _TYPES[key]


def _primary(part: exp.Expression) -> tuple[str, ...]:
    key = part.find(exp.PrimaryKey)
    return tuple(_name(item) for item in key.expressions) if key else ()


def _foreign(key: exp.ForeignKey) -> ForeignKey:
    return _reference(tuple(_name(item) for item in key.expressions), key.args["reference"])


def _reference(columns: tuple[str, ...], reference: exp.Reference) -> ForeignKey:
    target = reference.this
    table = target.find(exp.Table)
    names = tuple(_name(item) for item in target.expressions) if isinstance(target, exp.Schema) else ()
    if table is None:
        return ForeignKey(columns, target.name, names)
    return ForeignKey(columns, table.name, names, _namespace(table))


def _name(item: exp.Expression) -> str:
    found = item if isinstance(item, exp.Identifier) else item.find(exp.Identifier)
    return found.name if found is not None else item.name


def _namespace(table: exp.Table) -> str:
    return "" if table.db.lower() in DEFAULT_NAMESPACES else table.db


def _text(comments: list[str] | None) -> str:
    return " ".join(" ".join(comments or ()).split())


def _remark(comments: list[str] | None) -> str:
    """What stands before a table, without banners: they head a part of the file, and say nothing of a table."""
    found = list(comments or ())
    rules = [place for place, text in enumerate(found) if text.strip() and not text.strip(RULE)]
    if rules:
        found = found[: rules[0]] + found[rules[-1] + 1 :]
    return _text([text for text in found if not BANNER.search(text)])


def _comment(statement: exp.Comment, tables: dict[str, Table]) -> None:
    target, text = statement.this, _text([statement.expression.name])
    if isinstance(target, exp.Table):
        key = _key(target.name, target.db)
        if key in tables:
            tables[key] = replace(tables[key], comment=text)
    elif isinstance(target, exp.Column):
        key = _key(target.table, target.db)
        if key in tables:
            columns = tuple(
                replace(column, comment=text) if column.name.lower() == target.name.lower() else column
                for column in tables[key].columns
            )
            tables[key] = replace(tables[key], columns=columns)


def _alter(statement: exp.Alter, tables: dict[str, Table]) -> None:
    if not isinstance(statement.this, exp.Table):
        return
    key = _key(statement.this.name, statement.this.db)
    if key not in tables:
        return
    table = tables[key]
    for action in statement.args.get("actions") or ():
        foreign = tuple(_foreign(found) for found in action.find_all(exp.ForeignKey))
        table = replace(
            table,
            foreign_keys=table.foreign_keys + foreign,
            primary_key=_primary(action) or table.primary_key,
        )
    tables[key] = table


def _key(name: str, namespace: str) -> str:
    return (name if namespace.lower() in {"", *DEFAULT_NAMESPACES} else f"{namespace}.{name}").lower()


def _complete(table: Table, tables: dict[str, Table]) -> Table:
    """`REFERENCES t` without columns means t's primary key; a column of the primary key is never NULL."""
    foreign = tuple(
        key
        if key.referenced_columns or key.qualified_table.lower() not in tables
        else replace(key, referenced_columns=tables[key.qualified_table.lower()].primary_key)
        for key in table.foreign_keys
    )
    primary = {name.lower() for name in table.primary_key}
    columns = tuple(
        replace(column, nullable=False) if column.name.lower() in primary else column for column in table.columns
    )
    return replace(table, columns=columns, foreign_keys=foreign)
