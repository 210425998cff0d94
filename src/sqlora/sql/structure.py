"""A query's template: what is left when its values and the names it makes up are taken out.

Training and test data share no template, so two queries that differ only in values must have the same one.
"""

from __future__ import annotations

from sqlglot import ErrorLevel, exp

Names = dict[str, str]

_VALUES = (exp.Literal, exp.Boolean)
_SOURCES = (exp.Table, exp.Subquery, exp.Unnest, exp.Lateral, exp.Values)


def structure(tree: exp.Expr) -> str:
    """The template of a query, given as a tree in the base dialect's terms.

    Numbers, strings, dates, booleans and the length of lists of them become ``?``; tables are ``t1``, ``t2``, …
    and aliases ``a1``, ``a2``, … in order of appearance, whether or not the query gave them names of its own.
    Units (``'month'``) and NULL are not values: they change what is asked.
    """
    tree = tree.copy()
    tree = _masked(tree)
    _Renaming(tree).visit(tree, {})
    for name in tree.find_all(exp.Identifier):
        name.set("this", name.name.lower())
        name.set("quoted", False)
    # It is a copy already, and nobody runs it: what no dialect in particular can say is no matter to warn of.
    return tree.sql(comments=False, copy=False, unsupported_level=ErrorLevel.IGNORE)


def _masked(tree: exp.Expr) -> exp.Expr:
    for node in reversed(list(tree.walk())):  # children first: -5 and DATE '…' wrap what is masked by then
        if isinstance(node, _VALUES):
            if node.arg_key != "unit":
                tree = _replace(tree, node, exp.Placeholder())
        elif isinstance(node, exp.Neg | exp.Cast | exp.Paren) and isinstance(node.this, exp.Placeholder):
            tree = _replace(tree, node, exp.Placeholder())
        elif isinstance(node, exp.In | exp.Array | exp.Values):
            node.set("expressions", _distinct(node.expressions))
    return tree


def _replace(tree: exp.Expr, node: exp.Expr, new: exp.Expr) -> exp.Expr:
    if node is tree:
        return new
    node.replace(new)
    return tree


def _distinct(items: list[exp.Expr]) -> list[exp.Expr]:
    """The items without repetitions, so that a list of values counts as one however long it is."""
    return list({item.sql(): item for item in items}.values())


class _Renaming:
    """Renames tables and aliases by order of appearance, each query seeing its own and its parents' names."""

    def __init__(self, tree: exp.Expr) -> None:
        self._tables = 0
        self._queries: Names = {}  # common table expressions, by name
        self._aliases: Names = {}
        for alias in tree.find_all(exp.Alias, bfs=False):
            name = alias.alias.lower()
            # `SUM(amount) AS amount`: renaming would take the column's name away too.
            if not any(column.name.lower() == name for column in alias.this.find_all(exp.Column)):
                self._aliases.setdefault(name, f"a{len(self._aliases) + 1}")

    def visit(self, node: exp.Expr, names: Names) -> None:
        """Rename below ``node`` (in place); ``names`` maps the tables in sight."""
        if isinstance(node, exp.Query) and (ctes := node.args.get("with_")):
            for cte in ctes.expressions:
                self._queries[cte.alias.lower()] = f"q{len(self._queries) + 1}"
                self.visit(cte.this, names)
                self._rename(cte.args["alias"].this, self._queries[cte.alias.lower()])
        if isinstance(node, exp.Select):
            names = {**names, **self._sources(node)}
        if isinstance(node, exp.Column):
            self._column(node, names)
        elif isinstance(node, exp.Alias):
            self._rename(node.args["alias"], self._aliases.get(node.alias.lower()))
        elif isinstance(node, exp.Table) and not node.args.get("db"):
            self._rename(node.this, self._queries.get(node.name.lower()))
        for key, value in node.args.items():
            for child in value if isinstance(value, list) else (value,):
                if isinstance(child, exp.Expr) and key != "with_":
                    self.visit(child, names)

    def _sources(self, select: exp.Select) -> Names:
        """Number the tables of one SELECT's FROM and JOINs and give each its number as alias."""
        names: Names = {}
        from_ = select.args.get("from_")
        joins = [join.this for join in select.args.get("joins") or ()]
        for source in [*([from_.this] if from_ else []), *joins, *(select.args.get("laterals") or ())]:
            if not isinstance(source, _SOURCES):
                continue
            self._tables += 1
            new = f"t{self._tables}"
            names[source.alias_or_name.lower()] = new
            alias = source.args.get("alias")
            columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
            source.set("alias", exp.TableAlias(this=exp.to_identifier(new), columns=columns))
        return names

    def _column(self, column: exp.Column, names: Names) -> None:
        qualifier = column.args.get("table")
        if qualifier is not None:
            self._rename(qualifier, names.get(qualifier.name.lower()))
        if isinstance(column.this, exp.Identifier):
            self._rename(column.this, self._aliases.get(column.name.lower()))

    @staticmethod
    def _rename(identifier: exp.Expr | None, new: str | None) -> None:
        if new is not None and isinstance(identifier, exp.Identifier):
            identifier.set("this", new)
