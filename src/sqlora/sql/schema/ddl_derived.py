"""Tables that DDL makes of others: views, CREATE TABLE … AS, … LIKE, … CLONE."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from sqlora.sql.schema.schema import Column, Table

Find = Callable[[exp.Table], Table | None]  # among the tables that came before
WITH_INDEXES = {"ALL", "INDEXES"}  # PostgreSQL: LIKE t INCLUDING …


def original(create: exp.Create, find: Find) -> Table | None:
    """The table of which CREATE TABLE … LIKE or … CLONE makes another."""
    properties = create.args.get("properties")
    like = create.args.get("clone") or (properties.find(exp.LikeProperty) if properties else None)
    return _liked(like, find) if like is not None else None


def like_columns(part: exp.LikeProperty, find: Find, dialect: str) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The columns and the primary key that LIKE brings into a list of columns; none where the table isn't known."""
    found = _liked(part, find)
    if found is None:
        return (), ()
    including = {option.text("value").upper() for option in part.expressions if option.name.upper() == "INCLUDING"}
    return found.columns, found.primary_key if dialect == "mysql" or including & WITH_INDEXES else ()


def _liked(like: exp.Expr, find: Find) -> Table | None:
    return find(like.this) if isinstance(like.this, exp.Table) else None


def selected(query: exp.Query, find: Find) -> list[Column] | None:
    """What a query's columns are called, with types where they are a table's; None where that takes more than looking.
    """
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
        sources[source.alias_or_name.lower()] = find(source) if known else None
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
