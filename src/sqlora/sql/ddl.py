"""DDL text, or a whole dump → Schema, with sqlglot.

Only what makes tables is parsed: a dump's data, settings, indexes and grants are stepped over by their first words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import cast

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as SqlglotDialect
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.errors import SchemaError
from sqlora.sql.schema import DEFAULT_NAMESPACES, Column, ForeignKey, Schema, Table

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
    for statement in _parse(text, dialect):
        if isinstance(statement, exp.Create):
            table = _table(statement, dialect) or _view(statement, tables, dialect)
            if table is not None:
                tables[table.qualified_name.lower()] = table
        elif isinstance(statement, exp.Comment):
            _comment(statement, tables)
        elif isinstance(statement, exp.Alter):
            _alter(statement, tables)
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


def _parse(text: str, dialect: str) -> Iterator[exp.Expression]:
    """The statements that make tables, views, keys and comments, each parsed when it is asked for."""
    base = SqlglotDialect.get_or_raise(dialect)
    text = NOISE.sub(lambda found: "\n" * found[0].count("\n"), text)
    text = BATCH.sub(";", text)
    try:
        parser = base.parser()
        for tokens in _statements(base.tokenize(text)):
            for tree in parser.parse(tokens, text):
                if isinstance(tree, exp.Command):
                    _refuse_unknown_table(tree, tokens[0])
                elif tree is not None:
                    yield cast(exp.Expression, tree)
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


def _statements(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each statement that says something about tables."""
    start = 0
    for end, token in enumerate(tokens):
        if token.token_type is TokenType.SEMICOLON:
            if _is_about_tables(tokens, start, end):
                yield tokens[start:end]
            start = end + 1
    if _is_about_tables(tokens, start, len(tokens)):
        yield tokens[start:]


def _is_about_tables(tokens: list[Token], start: int, end: int) -> bool:
    words = [token.text.upper() for token in tokens[start : min(end, start + 8)]]
    if words[:2] in (["COMMENT", "ON"], ["ALTER", "TABLE"]):
        return True
    if words[:1] != ["CREATE"]:
        return False
    kind = next((word for word in words[1:] if word not in MODIFIERS), "")
    return kind in ("TABLE", "VIEW") and not _is_partition(tokens, start, end)


def _is_partition(tokens: list[Token], start: int, end: int) -> bool:
    """CREATE TABLE t_2024 PARTITION OF t: a part of a table, and no table to ask about."""
    words = [token.text.upper() for token in tokens[start : min(end, start + 12)]]
    return ("PARTITION", "OF") in pairwise(words) and "(" not in words


def _refuse_unknown_table(command: exp.Command, token: Token) -> None:
    """What sqlglot doesn't understand it keeps as text; a table must not be lost in that way."""
    text = " ".join(f"{command.this} {command.expression}".split())
    if re.match(r"CREATE (?:\w+ ){0,4}?TABLE\b", text, re.IGNORECASE):
        raise SchemaError(
            f"line {token.line} of the DDL: this can't be understood: {text[:80]}",
            "reduce it to columns, keys and comments",
        )


def _table(create: exp.Create, dialect: str) -> Table | None:
    body = create.this
    if create.kind != "TABLE" or not isinstance(body, exp.Schema) or not isinstance(body.this, exp.Table):
        return None
    columns: list[Column] = []
    primary: tuple[str, ...] = ()
    foreign: list[ForeignKey] = []
    for part in body.expressions:
        if isinstance(part, exp.ColumnDef):
            columns.append(_column(part, dialect))
            for constraint in part.find_all(exp.ColumnConstraint):
                kind = constraint.args.get("kind")
                if isinstance(kind, exp.PrimaryKeyColumnConstraint):
                    primary = (part.name,)
                elif isinstance(kind, exp.Reference):
                    foreign.append(_reference((part.name,), kind))
            continue
        if isinstance(part, (exp.Identifier, exp.Column)):  # a column without a type, as SQLite allows
            columns.append(Column(part.name, "", _text(part.comments)))
            continue
        primary = _primary(part) or primary
        foreign += [_foreign(key) for key in part.find_all(exp.ForeignKey)]
    if not columns:
        return None
    comment = _text(create.comments)
    for option in create.find_all(exp.SchemaCommentProperty):
        comment = option.this.name or comment
    return Table(body.this.name, tuple(columns), primary, tuple(foreign), comment, _namespace(body.this))


def _view(create: exp.Create, tables: dict[str, Table], dialect: str) -> Table | None:
    """A view, or a table made by a query, whose columns can be told; types where they are a table's columns."""
    query, body = create.expression, create.this
    named = body.expressions if isinstance(body, exp.Schema) else []
    target = body.this if isinstance(body, exp.Schema) else body
    if not isinstance(target, exp.Table) or not isinstance(query, exp.Query):
        return None
    columns = _selected(query, tables, dialect)
    if named:
        given = [_name(item) for item in named]
        types = [column.type for column in columns or ()]
        types += [""] * (len(given) - len(types))
        columns = [Column(name, type_) for name, type_ in zip(given, types, strict=False)]
    if not columns:
        return None
    return Table(target.name, tuple(columns), (), (), _text(create.comments), _namespace(target))


def _selected(query: exp.Query, tables: dict[str, Table], dialect: str) -> list[Column] | None:
    """What a query's columns are called; None where that needs more than looking."""
    select = query
    while isinstance(select, exp.SetOperation):
        select = select.left
    if not isinstance(select, exp.Select):
        return None
    made = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    sources: dict[str, Table | None] = {}
    for source in [clause.this for clause in (select.args.get("from_"), *(select.args.get("joins") or ())) if clause]:
        is_made = isinstance(source, exp.Table) and not source.db and source.name.lower() in made
        known = isinstance(source, exp.Table) and not is_made
        sources[source.alias_or_name.lower()] = tables.get(_key(source.name, source.db)) if known else None
    columns: list[Column] = []
    for item in select.selects:
        if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
            wanted = [sources.get(item.table.lower())] if isinstance(item, exp.Column) else list(sources.values())
            if not wanted or any(table is None for table in wanted) or item.find(exp.Star) is None:
                return None
            columns += [
                Column(column.name, column.type, column.comment)
                for table in wanted
                if table
                for column in table.columns
            ]
        elif item.alias_or_name:
            columns.append(Column(item.alias_or_name, _type_of(item, sources)))
        else:
            return None
    names = [column.name.lower() for column in columns]
    return columns if len(set(names)) == len(names) else None


def _type_of(item: exp.Expr, sources: dict[str, Table | None]) -> str:
    column = item.unalias()
    if not isinstance(column, exp.Column):
        return ""
    named = [sources.get(column.table.lower())] if column.table else list(sources.values())
    found = [known for table in named if table and (known := table.get(column.name))]
    return found[0].type if len(found) == 1 else ""


def _column(part: exp.ColumnDef, dialect: str) -> Column:
    kinds = [constraint.args.get("kind") for constraint in part.args.get("constraints") or ()]
    comment = _text(part.comments)
    nullable = True
    for kind in kinds:
        if isinstance(kind, exp.CommentColumnConstraint):
            comment = kind.this.name
        if isinstance(kind, exp.NotNullColumnConstraint):
            nullable = bool(kind.args.get("allow_null"))
    if not comment:  # the last column has no comma for the comment to stand behind
        comment = _text([text for node in part.walk() if node is not part for text in node.comments or ()])
    type_ = part.args.get("kind")
    return Column(part.name, type_.sql(dialect=dialect, comments=False) if type_ else "", comment, nullable)


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
