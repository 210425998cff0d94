"""Writing pipes: a tree of SELECTs as ``FROM t |> WHERE … |> AGGREGATE … GROUP BY … |> SELECT …``.

The reverse of `sqlora.sql.dialect.pipe_parser`. What the operators cannot say, such as QUALIFY, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.generator import Generator

from sqlora.sql.dialect.aggregation import aggregates, has_window, is_aggregate, is_window
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.template import MARK

_SELECT_KEYS = {
    "with_",
    "expressions",
    "from_",
    "joins",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "distinct",
}


def pipe_members(parent: type[Generator], upper: bool) -> dict[str, Any]:
    """The generator's members that write pipes; ``upper``: plain names of the house are in capitals."""

    def select_sql(self: Generator, select: exp.Select) -> str:
        if not select.args.get("from_"):
            return parent.select_sql(self, select)
        return self.prepend_ctes(select, _joined(self, _select(self, select)))

    def set_operations(self: Generator, operation: exp.SetOperation) -> str:
        return self.prepend_ctes(operation, _joined(self, _set_operation(self, operation)))

    def subquery_sql(self: Generator, subquery: exp.Subquery) -> str:
        modified = [key for key in exp.QUERY_MODIFIERS if subquery.args.get(key)]
        if not modified:
            return parent.subquery_sql(self, subquery)
        if subquery.alias or set(modified) - {"order", "limit", "offset"}:
            raise NodeError(subquery, f"pipes have no way to write {modified[0]} after a query in parentheses")
        return _joined(self, [self.sql(subquery.this), *_tail(self, subquery)])

    return {
        "select_sql": select_sql,
        "set_operations": set_operations,
        "subquery_sql": subquery_sql,
        "PIPE_NAMES_UPPER": upper,
    }


def _joined(self: Generator, parts: list[str]) -> str:
    return f"{self.sep()}|> ".join(parts)


def _select(self: Generator, select: exp.Select) -> list[str]:
    if other := next((key for key, value in select.args.items() if value and key not in _SELECT_KEYS), None):
        raise NodeError(select, f"pipes have no way to write {other.strip('_').upper()}")
    distinct = select.args.get("distinct")
    if distinct and distinct.args.get("on"):
        raise NodeError(select, "pipes have no way to write DISTINCT ON")
    parts = [f"FROM {self.sql(select.args['from_'].this)}"]
    parts += [_join(self, join) for join in select.args.get("joins") or []]
    if where := select.args.get("where"):
        parts.append(f"WHERE {self.sql(where.this)}")
    grouped = select.args.get("group") or select.args.get("having") or any(map(aggregates, _outputs(select)))
    return parts + (_grouped(self, select) if grouped else _plain(self, select))


def _outputs(select: exp.Select) -> Iterator[exp.Expr]:
    yield from select.expressions
    if order := select.args.get("order"):
        yield from order.expressions


def _join(self: Generator, join: exp.Join) -> str:
    text = self.sql(join).strip()
    return f"CROSS JOIN {text[1:].strip()}" if text.startswith(",") else text


def _tail(self: Generator, query: exp.Expr) -> list[str]:
    order = query.args.get("order")
    parts = [f"ORDER BY {_list(self, order.expressions)}"] if order else []
    modifiers = self.offset_limit_modifiers(query, False, query.args.get("limit"))
    page = " ".join(" ".join(text.split()) for text in modifiers if text)
    return [*parts, page] if page else parts


def _list(self: Generator, items: list[exp.Expr]) -> str:
    return ", ".join(self.sql(item) for item in items)


# ── without groups ───────────────────────────────────────────────────────────────────────────────────────────


def _plain(self: Generator, select: exp.Select) -> list[str]:
    items, distinct = select.expressions, bool(select.args.get("distinct"))
    star = type(items[0]) is exp.Star and not any(items[0].args.values())
    if star and len(items) == 1:
        return [*(["DISTINCT"] if distinct else []), *_tail(self, select)]
    if star and not distinct and all(isinstance(item, exp.Alias) for item in items[1:]):
        return [f"EXTEND {_list(self, items[1:])}", *_tail(self, select)]
    select_part = f"SELECT {'DISTINCT ' if distinct else ''}{_list(self, items)}"
    order = select.args.get("order")
    if order and not _settle_order(order, items, distinct):
        if distinct:
            raise NodeError(order, "pipes sort after SELECT DISTINCT, by what it selects")
        if not (select.args.get("limit") or select.args.get("offset")):
            return [*_tail(self, select), select_part]
        windows, items = _windows(self, items)
        extend = [f"EXTEND {_list(self, windows)}"] if windows else []
        return [*extend, *_tail(self, select), f"SELECT {_list(self, items)}"]
    return [select_part, *_tail(self, select)]


def _windows(self: Generator, items: list[exp.Expr]) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """The windows of ``items`` under names of their own, and the items with those names.

    LIMIT before SELECT would otherwise leave the windows fewer rows to be computed over.
    """
    taken = {item.alias_or_name for item in items} | {c.name for item in items for c in item.find_all(exp.Column)}
    names = _new_names(self, "window", taken)
    windows: list[exp.Expr] = []

    def named(node: exp.Expr) -> exp.Expr:
        if not is_window(node):
            return node
        known = next((each for each in windows if each.this == node), None)
        if known is None:
            known = exp.Alias(this=node.copy(), alias=next(names))
            windows.append(known)
        return exp.column(known.alias)

    return windows, [item.transform(named) for item in items]


def _settle_order(order: exp.Expr, items: list[exp.Expr], distinct: bool) -> bool:
    """Make ORDER BY (in place) one of outputs only, if it can be; else one of columns only, and False."""
    names = {item.alias_or_name for item in items if item.alias_or_name and item.alias_or_name != "*"}
    by_value = {item.unalias().sql(): item.alias_or_name for item in items if item.alias_or_name in names}
    for ordered in order.expressions:
        if name := by_value.get(ordered.this.sql()):
            ordered.set("this", exp.column(exp.to_identifier(name, quoted=_quoted(ordered.this))))
    columns = [column for column in order.find_all(exp.Column) if not column.find_ancestor(exp.Subquery)]
    if all(not column.args.get("table") and column.name in names for column in columns):
        return True
    if not distinct:
        values = {item.alias: item.this for item in items if isinstance(item, exp.Alias)}
        for column in columns:
            if not column.args.get("table") and column.name in values:
                column.replace(_operand(column, values[column.name]))
    return False


def _quoted(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and bool(node.this.args.get("quoted"))


def _operand(place: exp.Expr, value: exp.Expr) -> exp.Expr:
    operator = isinstance(place.parent, exp.Binary | exp.Unary) and isinstance(value, exp.Binary | exp.Unary)
    return exp.Paren(this=value.copy()) if operator else value.copy()


# ── with groups ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Output:
    """A column that AGGREGATE makes."""

    value: exp.Expr
    name: exp.Identifier | None  # None: it has none, and nobody has asked for one
    key: bool
    named: bool  # whether the name has to be written, with AS


class _Outputs:
    """What AGGREGATE makes, and the names by which later operators know it."""

    def __init__(self, generator: Generator, select: exp.Select) -> None:
        self._generator = generator
        self._all: list[_Output] = []
        self._taken = {item.alias_or_name for item in select.expressions}
        aliases = {item.alias: item.this for item in select.expressions if isinstance(item, exp.Alias)}
        by_value = {item.this: item.args["alias"] for item in select.expressions if isinstance(item, exp.Alias)}
        group = select.args.get("group")
        several = exp.Rollup | exp.Cube | exp.GroupingSets
        others = group and any(value for key, value in group.args.items() if key != "expressions" and value)
        if group and (others or any(isinstance(key, several) for key in group.expressions)):
            raise NodeError(group, "pipes group by expressions only: no ROLLUP, CUBE, GROUPING SETS or ALL")
        for key in group.expressions if group else ():
            value = _group_key(key, select, aliases)
            self._add(value, by_value.get(value), key=True)
        for item in select.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star)):
                raise NodeError(item, "pipes have no way to write * beside sums and counts")
            value = item.unalias()
            if self._known(value) is None and not has_window(item) and aggregates(value):
                self._add(value, item.args.get("alias") if isinstance(item, exp.Alias) else None, key=False)

    def _add(self, value: exp.Expr, alias: exp.Expr | None, key: bool) -> _Output:
        name = alias or (value.this if isinstance(value, exp.Column) else None)
        if name is not None and any(each.name and each.name.name == name.name for each in self._all):
            name = alias = None
        output = _Output(value, name.copy() if isinstance(name, exp.Identifier) else None, key, bool(alias))
        self._all.append(output)
        return output

    def _known(self, value: exp.Expr) -> _Output | None:
        found = next((each for each in self._all if each.value == value), None)
        if found is None and isinstance(value, exp.Column) and not value.table:
            # GROUP BY t.city, SELECT city: a name that is grouped by, with and without its table.
            alike = [each for each in self._all if isinstance(each.value, exp.Column) and each.value.name == value.name]
            return alike[0] if len(alike) == 1 else None
        return found

    def reference(self, output: _Output) -> exp.Column:
        """The column by which later operators know ``output``, which gets a name if it has none."""
        if output.name is None:
            output.name = next(_new_names(self._generator, _stem(output), self._taken))
            output.named = True
            self._taken.add(output.name.name)
        return exp.column(output.name.copy())

    def refer(self, node: exp.Expr) -> exp.Expr:
        """``node`` in terms of the outputs; sums and counts that are none yet become some."""
        output = self._known(node)
        if output is None and is_aggregate(_aggregate(node)) and not _of_window(node):
            output = self._add(node.copy(), None, key=False)
        if output:
            return self.reference(output)
        if isinstance(node, exp.Query):
            return node
        node = node.copy() if node.parent is None else node
        for child in list(node.iter_expressions()):
            found = self.refer(child)
            if found is not child:
                child.replace(found)
        return node

    def texts(self, self_: Generator) -> str:
        """AGGREGATE's operands."""
        values = [_text(self_, each) for each in self._all if not each.key]
        keys = [_text(self_, each) for each in self._all if each.key]
        parts = [
            "AGGREGATE",
            *([", ".join(values)] if values else []),
            *([f"GROUP BY {', '.join(keys)}"] if keys else []),
        ]
        return " ".join(parts)

    def are(self, items: list[exp.Expr]) -> bool:
        """Whether the outputs, keys first, are just what SELECT has."""
        ordered = [each for each in self._all if each.key] + [each for each in self._all if not each.key]
        return len(ordered) == len(items) and all(
            self._known(item.unalias()) is each
            and (not item.alias or (each.name is not None and each.name.name == item.alias))
            for each, item in zip(ordered, items, strict=True)
        )


def _stem(output: _Output) -> str:
    """What a column without a name is called after: the function that computes it."""
    node = _aggregate(output.value)
    name = str(node.this).strip(MARK) if isinstance(node, exp.Anonymous) else node.key
    return "key" if output.key else name.lower() if name.isidentifier() and is_aggregate(node) else "value"


def _new_names(self: Generator, stem: str, taken: set[str]) -> Iterator[exp.Identifier]:
    """``stem_1`` and so on, in the case that the house has its names in, without those that are taken."""
    known = {name.lower() for name in taken}
    for number in range(1, 10_000):
        if f"{stem}_{number}" not in known:
            name = f"{stem}_{number}"
            yield exp.to_identifier(name.upper() if self.PIPE_NAMES_UPPER else name)  # type: ignore[attr-defined]


def _grouped(self: Generator, select: exp.Select) -> list[str]:
    outputs = _Outputs(self, select)
    items, distinct = select.expressions, bool(select.args.get("distinct"))
    having, order = select.args.get("having"), select.args.get("order")
    condition = outputs.refer(having.this.copy()) if having else None
    names = {item.alias for item in items if isinstance(item, exp.Alias)}
    hidden = False
    for ordered in order.expressions if order else ():
        if not (isinstance(ordered.this, exp.Column) and not ordered.this.table and ordered.this.name in names):
            ordered.set("this", outputs.refer(ordered.this.copy()))
    whole = outputs.are(items) and not distinct
    selected = [] if whole else [_selected(outputs, item) for item in items]
    if order and not whole:
        shown = {item.alias_or_name for item in selected}
        hidden = any(column.name not in shown for column in order.find_all(exp.Column))
        if hidden and distinct:
            raise NodeError(order, "pipes sort after SELECT DISTINCT, by what it selects")
        cut = select.args.get("limit") or select.args.get("offset")
        if hidden and cut and any(has_window(item) for item in selected):
            raise NodeError(order, "pipes cut rows off before SELECT here, and OVER would see fewer")
        if hidden:
            values = {item.alias: item.this for item in selected if isinstance(item, exp.Alias)}
            for column in list(order.find_all(exp.Column)):
                if column.name in values:
                    column.replace(_operand(column, values[column.name]))
    parts = [outputs.texts(self)]
    if condition is not None:
        parts.append(f"WHERE {self.sql(condition)}")
    select_part = [] if whole else [f"SELECT {'DISTINCT ' if distinct else ''}{_list(self, selected)}"]
    tail = _tail(self, select)
    return [*parts, *tail, *select_part] if hidden else [*parts, *select_part, *tail]


def _selected(outputs: _Outputs, item: exp.Expr) -> exp.Expr:
    value = outputs.refer(item.unalias().copy())
    if not isinstance(item, exp.Alias) or (isinstance(value, exp.Column) and value.name == item.alias):
        return value
    return exp.alias_(value, item.args["alias"].copy())


def _group_key(key: exp.Expr, select: exp.Select, aliases: dict[str, exp.Expr]) -> exp.Expr:
    """What is grouped by: GROUP BY may have the number or the name of an output."""
    if isinstance(key, exp.Literal) and key.is_int and 0 < int(key.name) <= len(select.expressions):
        item: exp.Expr = select.expressions[int(key.name) - 1]
        return item.unalias().copy()
    if isinstance(key, exp.Column) and not key.table and key.name in aliases:
        value = aliases[key.name]
        if not any(column.name == key.name for column in value.find_all(exp.Column)):
            return value.copy()
    return key.unnest().copy()


def _text(self: Generator, output: _Output) -> str:
    text = self.sql(output.value)
    return f"{text} AS {self.sql(output.name)}" if output.named and output.name is not None else text


_AROUND = (exp.Filter, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)


def _aggregate(node: exp.Expr) -> exp.Expr:
    """The function of ``SUM(x) FILTER (WHERE …)`` and the like."""
    while isinstance(node, _AROUND):
        node = node.this
    return node


def _of_window(node: exp.Expr) -> bool:
    """Whether an aggregate is over a window: SUM(x) OVER (…)."""
    place = node
    while isinstance(place.parent, _AROUND):
        place = place.parent
    return isinstance(place.parent, exp.Window) and place.arg_key == "this"


# ── set operators ────────────────────────────────────────────────────────────────────────────────────────────


def _set_operation(self: Generator, operation: exp.SetOperation) -> list[str]:
    if operation.args.get("by_name") or operation.args.get("side") or operation.args.get("kind"):
        raise NodeError(operation, "pipes have no way to write UNION BY NAME and the like")
    left = _bare(operation.this)
    if isinstance(left, exp.SetOperation) and not left.args.get("with_"):
        parts = _set_operation(self, left)
    else:
        parts = [self.sql(left)]
    word = " ".join(self.set_operation(operation).split())
    return [*parts, f"{word} ({self.sql(_bare(operation.expression))})", *_tail(self, operation)]


def _bare(query: exp.Expr) -> exp.Expr:
    """The query in parentheses that do nothing."""
    while isinstance(query, exp.Subquery) and not any(value for key, value in query.args.items() if key != "this"):
        query = query.this
    return query
