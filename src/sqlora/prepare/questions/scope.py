"""Which table or subquery a column of a query belongs to, and what it is called in a question."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlglot import ErrorLevel, exp

from sqlora.prepare.sources.synthesize.words import plural, readable
from sqlora.sql.schema import Column, Schema, Table


class NoQuestionError(Exception):
    """A query that the rules have no faithful words for; the message says what of it.

    Where it is a ``function``, its name stands behind ``what``: it differs with the dialect (`in_dialect`).
    """

    def __init__(self, what: str, function: exp.Func | None = None) -> None:
        self.what, self.function = what, function
        super().__init__(what if function is None else f"{what} {function_name(function)}")

    def in_dialect(self, dialect: str) -> str:
        """The message with the function's name as ``dialect`` (one of sqlglot's) writes it."""
        return str(self) if self.function is None else f"{self.what} {function_name(self.function, dialect)}"


def function_name(function: exp.Func, dialect: str = "") -> str:
    """What a function is called in a dialect, else in sqlglot."""
    if isinstance(function, exp.Anonymous):
        return function.name
    written = re.match(r"[\w.]+(?=\()", function.sql(dialect, unsupported_level=ErrorLevel.IGNORE)) if dialect else None
    return written[0] if written else function.sql_name()



@dataclass(frozen=True)
class Source:
    """What a query reads under one name: a table that the schema has (or not), or a subquery."""

    name: str
    noun: str  # one row of it, in words; '' for a subquery
    table: Table | None = None
    query: exp.Query | None = None

    def has(self, column: str) -> bool:
        """Whether a column of that name is known to be in it."""
        if self.query is not None:
            return column.lower() in (name.lower() for name in self.query.named_selects)
        return self.table is not None and self.table.get(column) is not None


@dataclass(frozen=True)
class Scope:
    """The sources of one SELECT by their names in lower case, and the scope around it."""

    schema: Schema
    sources: dict[str, Source]
    parent: Scope | None = None
    queries: dict[str, exp.Query] = field(default_factory=dict)  # common table expressions

    @staticmethod
    def of(select: exp.Select, schema: Schema, parent: Scope | None = None) -> Scope:
        """The scope of a SELECT. NoQuestionError for a source that is neither a table nor a subquery."""
        queries = dict(parent.queries) if parent else {}
        for cte in select.ctes:
            queries[cte.alias.lower()] = cte.this
        sources: dict[str, Source] = {}
        for node in _sources(select):
            source = _source(node, schema, queries, sources)
            sources[node.alias_or_name.lower()] = source
        return Scope(schema, sources, parent, queries)

    def find(self, column: exp.Column) -> tuple[Scope, Source] | None:
        """The source that a column is of, and the scope that has it; None where that can't be told."""
        if column.table:
            found = self.sources.get(column.table.lower())
        else:
            holders = [source for source in self.sources.values() if source.has(column.name)]
            unknown = [source for source in self.sources.values() if source.table is None and source.query is None]
            found = holders[0] if holders else unknown[0] if len(unknown) == len(self.sources) == 1 else None
        if found is not None:
            return self, found
        return self.parent.find(column) if self.parent else None

    def column(self, node: exp.Column) -> tuple[Table, Column] | None:
        """The schema's own table and column, where the column is one of them."""
        found = self.find(node)
        table = found[1].table if found else None
        column = table.get(node.name) if table else None
        return (table, column) if table and column else None


def noun(name: str) -> str:
    """One row of a table of that name, in words: ``order_lines`` → ``order line``."""
    *before, last = readable(name).split(" ")
    if before and before[0] in ("dim", "fact", "fct", "tbl", "stg", "vw"):
        before = before[1:]
    return " ".join([*before, singular(last)])


def singular(word: str) -> str:
    """``cities`` → ``city``; a word that is one already, as it is."""
    if word in ("people", "children", "men", "women"):
        return {"people": "person", "children": "child", "men": "man", "women": "woman"}[word]
    if re.search(r"(ss|us|is|series|news|sales)$", word) or len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if re.search(r"(ss|x|z|ch|sh|[bdlprt]us)es$", word):
        return word[:-2]
    return word[:-1]


def refers(one: Source, other: Source) -> bool:
    """Whether the rows of ``one`` belong to rows of ``other``: by a foreign key, or a column called ``other_id``."""
    if one.table is None or other.table is None or one.table is other.table:
        return False
    if any(key.table.lower() == other.table.name.lower() for key in one.table.foreign_keys):
        return True
    key = f"{other.noun.replace(' ', '')}id"
    return any(column.name.lower().replace("_", "") == key for column in one.table.columns) and not any(
        found.table.lower() == one.table.name.lower() for found in other.table.foreign_keys
    )


def rows(source: Source) -> str:
    """All rows of a source, in words."""
    return plural(source.noun)


def _sources(select: exp.Select) -> list[exp.Expr]:
    from_ = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or ()]
    if select.args.get("laterals"):
        raise NoQuestionError("LATERAL")
    return [*([from_.this] if from_ else []), *joined]


def _source(node: exp.Expr, schema: Schema, queries: dict[str, exp.Query], others: dict[str, Source]) -> Source:
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
        return Source(node.alias_or_name, "", query=node.this)
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise NoQuestionError(f"{type(node.this).__name__.upper()} in FROM")
    if any(node.args.get(part) for part in ("pivots", "sample", "joins")):
        raise NoQuestionError("what is added to a table in FROM")
    if not node.db and node.name.lower() in queries:
        return Source(node.alias_or_name, "", query=queries[node.name.lower()])
    table = schema.get(node.name, node.db)
    word = noun(node.name)
    again = sum(source.noun.removeprefix("other ") == word for source in others.values())
    if again > 1:
        raise NoQuestionError(f"{node.name} three times")
    return Source(node.alias_or_name, f"other {word}" if again else word, table)
