"""What a house dialect changes of the tree, in both directions: one list of steps, and the same one backwards."""

from __future__ import annotations

from collections.abc import Mapping

import sqlglot
from sqlglot import exp

from sqlora.sql.dialect.calls import Templates
from sqlora.sql.dialect.conditions import Conditions
from sqlora.sql.dialect.forbidden import Forbidden
from sqlora.sql.dialect.intervals import write_intervals
from sqlora.sql.dialect.literals import Literals
from sqlora.sql.dialect.ordering import Ordering
from sqlora.sql.dialect.pagination import read_rownum, write_rownum, write_top
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.dialect.template import macro, template
from sqlora.sql.dialect.within_group import read_within_group, refuse_inside, write_within_group


class Forms:
    """The functions, macros, literals, booleans and forbidden constructs of one house dialect."""

    def __init__(self, spec: DialectSpec, base: sqlglot.Dialect, literals: Literals) -> None:
        compiled = [template(h, b, base) for h, b in spec.functions.items()]
        compiled += [macro(h, b, base, number) for number, (h, b) in enumerate(spec.macros.items())]
        self._templates = Templates(compiled)
        self._ordered = Templates(each for each in compiled if _orders_rows(each.body))
        self._literals = literals
        self._conditions = Conditions(spec.booleans, base) if spec.booleans.true else None
        self._forbidden = Forbidden(spec.forbidden, base)
        nulls = {"nulls_are_small": "low", "nulls_are_large": "high"}.get(base.NULL_ORDERING, "last")
        self._ordering = None if spec.ordering.explicit else Ordering(spec.ordering.nulls or nulls)
        self._within_group = spec.ordering.aggregates == "within_group"
        self._page = spec.pagination.style
        self._interval = spec.literals.interval
        # What STRING_AGG(x) has between its values, which LISTAGG(x, s) has to be told.
        self._separator = "," if spec.base == "duckdb" else ""

    @property
    def names(self) -> Mapping[str, str]:
        """The functions: upper-case name → the name as the spec writes it."""
        return self._templates.names

    def kinds(self) -> dict[str, str]:
        """Upper-case name → ``aggregate`` or ``window``, of the functions that are such."""
        return self._templates.kinds()

    def renamed(self) -> dict[str, str]:
        """Base functions that the house calls otherwise → the house's way to write them."""
        return self._templates.renamed()

    def read(self, tree: exp.Expr) -> exp.Expr:
        """The tree of house text (changed in place) → the base's; NodeError for what the house does not have."""
        if self._forbidden:
            self._forbidden.check(tree)
        if self._within_group:
            refuse_inside(tree)
        if self._literals:
            tree = self._literals.expand(tree)
        tree = self._templates.expand(tree)
        if self._within_group:
            tree = read_within_group(tree)
        if self._page == "rownum":
            tree = read_rownum(tree)
        if self._conditions:
            tree = self._conditions.read(tree)
        return self._ordering.read(tree) if self._ordering else tree

    def write(self, tree: exp.Expr) -> exp.Expr:
        """The base's tree (changed in place) → that of house text; NodeError for what the house cannot say."""
        if self._interval:
            tree = write_intervals(tree, self._interval)
        if self._separator:
            for call in tree.find_all(exp.GroupConcat):
                call.set("separator", call.args.get("separator") or exp.Literal.string(self._separator))
        if self._ordering:
            tree = self._ordering.write(tree)
        if self._conditions:
            tree = self._conditions.write(tree)
        if self._page == "rownum":
            tree = write_rownum(tree)
        elif self._page in ("top", "top-fetch"):
            tree = write_top(tree, fetch=self._page == "top-fetch")
        if self._within_group:
            tree = write_within_group(self._ordered.fold(tree))
        tree = self._templates.fold(tree)
        if self._within_group:
            refuse_inside(tree)
        if self._literals:
            tree = self._literals.fold(tree)
        if self._forbidden:
            self._forbidden.check(tree)
        return tree


def _orders_rows(body: exp.Expr) -> bool:
    """Whether an aggregate in a template's body says how its rows are ordered: such a call has no order behind it."""
    return any(isinstance(order.parent, exp.AggFunc) for order in body.find_all(exp.Order))
