"""DDL text → Schema, with sqlglot."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from sqlora.errors import SchemaError
from sqlora.sql.schema import DEFAULT_NAMESPACES, Column, ForeignKey, Schema, Table


def read_ddl(text: str, dialect: str) -> Schema:
    """See `Schema.from_ddl`."""
    tables: dict[str, Table] = {}
    for statement in _parse(text, dialect):
        if isinstance(statement, exp.Create):
            table = _table(statement, dialect)
            if table is not None:
                tables[table.qualified_name.lower()] = table
        elif isinstance(statement, exp.Comment):
            _comment(statement, tables)
        elif isinstance(statement, exp.Alter):
            _alter(statement, tables)
        elif isinstance(statement, exp.Command):
            _refuse_unknown_table(statement)
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


def _parse(text: str, dialect: str) -> list[exp.Expression]:
    try:
        return [cast(exp.Expression, found) for found in sqlglot.parse(text, read=dialect) if found is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        raise SchemaError(
            f"line {first.get('line', 0)}, column {first.get('col', 0)} of the DDL: "
            f"{first.get('description', error)} at {first.get('highlight', '')!r}",
            f"is it {dialect}? Correct it, or name the dialect it is in",
        ) from None
    except (SqlglotError, ValueError) as error:
        raise SchemaError(f"the DDL can't be read as {dialect}: {error}") from None


def _refuse_unknown_table(command: exp.Command) -> None:
    """What sqlglot doesn't understand it keeps as text; a table must not be lost in that way."""
    text = " ".join(f"{command.this} {command.expression}".split())
    if text.upper().startswith(("CREATE TABLE", "CREATE TEMP", "CREATE OR REPLACE TABLE")):
        raise SchemaError(
            f"this part of the DDL can't be understood: {text[:80]}", "reduce it to columns, keys and comments"
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
    comment = _text(create.comments)
    for option in create.find_all(exp.SchemaCommentProperty):
        comment = option.this.name or comment
    return Table(body.this.name, tuple(columns), primary, tuple(foreign), comment, _namespace(body.this))


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
    return ForeignKey(columns, table.name if table else target.name, names)


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
        if key.referenced_columns or key.table.lower() not in tables
        else replace(key, referenced_columns=tables[key.table.lower()].primary_key)
        for key in table.foreign_keys
    )
    primary = {name.lower() for name in table.primary_key}
    columns = tuple(
        replace(column, nullable=False) if column.name.lower() in primary else column for column in table.columns
    )
    return replace(table, columns=columns, foreign_keys=foreign)
