"""A condition in a query → English: ``the price is more than 5``. What has no words raises NoQuestionError."""

from __future__ import annotations

import re

from sqlglot import exp

from sqlora.prepare.questions.expressions import Values, spoken
from sqlora.prepare.questions.scope import NoQuestionError, Scope
from sqlora.prepare.sources.synthesize.words import enumerate_words
from sqlora.sql.finding import kind_of

# (of numbers and texts, of dates); and the same denied
_COMPARED: dict[type[exp.Expr], tuple[str, str]] = {
    exp.EQ: ("is", "is"),
    exp.NEQ: ("is not", "is not"),
    exp.GT: ("is more than", "is after"),
    exp.GTE: ("is at least", "is on or after"),
    exp.LT: ("is less than", "is before"),
    exp.LTE: ("is at most", "is on or before"),
    exp.NullSafeEQ: ("is", "is"),
    exp.NullSafeNEQ: ("is not", "is not"),
}
_DENIED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ, exp.NEQ: exp.EQ, exp.GT: exp.LTE, exp.LTE: exp.GT, exp.LT: exp.GTE, exp.GTE: exp.LT,
}  # fmt: skip
_TURNED: dict[type[exp.Expr], type[exp.Expr]] = {exp.GT: exp.LT, exp.LT: exp.GT, exp.GTE: exp.LTE, exp.LTE: exp.GTE}


class Conditions(Values):
    """Words for the values and the conditions of one SELECT."""

    def clause(self, node: exp.Expr, denied: bool = False) -> str:
        """See `Values.clause`."""
        denied = denied is not bool(node.args.get("negate"))  # IS NOT NULL, NOT LIKE
        if isinstance(node, exp.Paren):
            return self.clause(node.this, denied)
        if isinstance(node, exp.Not):
            return self.clause(node.this, not denied)
        if isinstance(node, exp.And | exp.Or):
            return self._several(node, denied)
        if isinstance(node, exp.Exists):
            return self._exists(node, denied)
        if type(node) in _COMPARED:
            return self._compared(node, denied)
        if isinstance(node, exp.Between):
            low, high = self.say(node.args["low"]), self.say(node.args["high"])
            return f"the {self.say(node.this)} is {'not ' if denied else ''}between {low} and {high}"
        if isinstance(node, exp.In):
            return self._in(node, denied)
        if isinstance(node, exp.Is):
            return self._is(node, denied)
        if isinstance(node, exp.Like | exp.ILike):
            return self._like(node, denied)
        if isinstance(node, exp.Column | exp.Boolean):
            return f"{self.say(node)} is {'false' if denied else 'true'}"
        if isinstance(node, exp.StartsWith | exp.Contains | exp.EndsWith):
            verb = {exp.StartsWith: "start", exp.Contains: "contain", exp.EndsWith: "end"}[type(node)]
            with_ = "" if verb == "contain" else " with"
            said = f"does not {verb}" if denied else f"{verb}s"
            return f"the {self.say(node.this)} {said}{with_} {self.say(node.expression)}"
        if isinstance(node, exp.Func):
            raise NoQuestionError("the condition", node)
        raise NoQuestionError(f"the condition {kind_of(node)}")

    def only_joins(self, node: exp.Expr) -> bool:
        """Whether a condition only says how two tables belong together, which a question leaves unsaid."""
        if isinstance(node, exp.Paren):
            return self.only_joins(node.this)
        if not isinstance(node, exp.EQ):
            return False
        left, right = node.this, node.expression
        if not (isinstance(left, exp.Column) and isinstance(right, exp.Column)):
            return False
        ours, theirs = self.scope.find(left), self.scope.find(right)
        if ours is None or theirs is None or ours[1] is theirs[1]:
            return False
        if ours[1].table is not None and ours[1].table is theirs[1].table:
            return False  # of two rows of one table, which one is meant has to be said
        return _belong(left, right, self.scope)

    def _several(self, node: exp.Expr, denied: bool) -> str:
        both = isinstance(node, exp.And) is not denied  # not (a or b) is: not a and not b
        parts = [self._within(part, both, denied) for part in node.flatten()]
        return enumerate_words(parts, "and") if both else f"either {enumerate_words(parts, 'or')}"

    def _within(self, part: exp.Expr, both: bool, denied: bool) -> str:
        said = self.clause(part, denied)
        inner = part
        while isinstance(inner, exp.Paren | exp.Not):
            denied = denied is not isinstance(inner, exp.Not)
            inner = inner.this
        mixed = isinstance(inner, exp.And | exp.Or) and (isinstance(inner, exp.And) is not denied) != both
        return f"({said})" if mixed else said

    def _compared(self, node: exp.Expr, denied: bool) -> str:
        kind, left, right = type(node), node.this, node.expression
        if isinstance(left.unnest(), exp.Literal) and not isinstance(right.unnest(), exp.Literal):
            kind, left, right = _TURNED.get(kind, kind), right, left
        if denied:
            if kind not in _DENIED:
                raise NoQuestionError("NOT of IS DISTINCT FROM")
            kind = _DENIED[kind]
        if isinstance(left, exp.Tuple) or isinstance(right, exp.Tuple | exp.Any | exp.All):
            raise NoQuestionError("a comparison of several values")
        dated = self.is_date(left) or self.is_date(right)
        verb = _COMPARED[kind][dated]
        the = "the " if isinstance(right, exp.Column | exp.Subquery | exp.AggFunc) else ""
        return f"the {self.say(left)} {verb} {the}{self._value(right)}"

    def _value(self, node: exp.Expr) -> str:
        return "empty" if isinstance(node, exp.Literal) and node.is_string and not node.name else self.say(node)

    def _in(self, node: exp.In, denied: bool) -> str:
        said = self.say(node.this)
        query = node.args.get("query")
        if query is not None:
            inner = self.say(query)
            return f"the {said} is {'not ' if denied else ''}among the {inner}"
        if node.args.get("unnest") is not None or not node.expressions:
            raise NoQuestionError("IN of an array")
        items = [self.say(item) for item in node.expressions]
        if len(items) == 1:
            return f"the {said} is {'not ' if denied else ''}{items[0]}"
        return f"the {said} is {'neither ' if denied else ''}{enumerate_words(items, 'nor' if denied else 'or')}"

    def _is(self, node: exp.Is, denied: bool) -> str:
        said = self.say(node.this)
        if isinstance(node.expression, exp.Null):
            return f"the {said} is {'not ' if denied else ''}missing"
        if isinstance(node.expression, exp.Boolean):
            return f"{said} is {'not ' if denied else ''}{spoken(node.expression)}"
        raise NoQuestionError("IS")

    def _like(self, node: exp.Expr, denied: bool) -> str:
        pattern = node.expression
        if not (isinstance(pattern, exp.Literal) and pattern.is_string):
            raise NoQuestionError("LIKE of an expression")
        found = re.fullmatch(r"(%*)([^%_]*)(%*)", str(pattern.this))
        said = self.say(node.this)
        if found is None or not found[2]:
            return f"the {said} {'does not match' if denied else 'matches'} the pattern '{pattern.this}'"
        text = spoken(exp.Literal.string(found[2]))
        if not found[1] and not found[3]:
            return f"the {said} is {'not ' if denied else ''}{text}"
        verb, with_ = ("contain", "") if found[1] and found[3] else ("end" if found[1] else "start", " with")
        return f"the {said} {f'does not {verb}' if denied else f'{verb}s'}{with_} {text}"

    def _exists(self, node: exp.Exists, denied: bool) -> str:
        query = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        if not isinstance(query, exp.Select) or query.args.get("group") or query.args.get("limit"):
            raise NoQuestionError("EXISTS of such a subquery")
        if not any(
            self.scope.find(column) and column.table.lower() in self.scope.sources
            for column in query.find_all(exp.Column)
        ):
            raise NoQuestionError("EXISTS that does not depend on the row")
        rows = query.copy()
        rows.set("expressions", [exp.Star()])  # what is selected does not matter
        rows.set("distinct", None)
        said = self.subquery(rows).removeprefix("details of the ")
        return f"they have {'no' if denied else 'any'} {said}"


def _belong(left: exp.Column, right: exp.Column, scope: Scope) -> bool:
    """Whether two columns are a foreign key and what it refers to, by the schema or by their names."""
    ours, theirs = scope.column(left), scope.column(right)
    names = left.name.lower(), right.name.lower()
    if ours and theirs:
        for (table, column), (other, referred) in ((ours, theirs), (theirs, ours)):
            for key in table.foreign_keys:
                pairs = zip(key.columns, key.referenced_columns, strict=False)
                if key.table.lower() == other.name.lower() and (column.name, referred.name) in pairs:
                    return True
    if names[0] == names[1]:
        return True
    return any(a in ("id", "key", "code") and b.endswith(f"_{a}") for a, b in (names, names[::-1]))
