"""House calls in trees: expanded when reading, folded when writing (see `sqlora.sql.dialect.template`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlglot import exp

from sqlora.sql.dialect.aggregation import note_kind
from sqlora.sql.dialect.node_error import NodeError
from sqlora.sql.dialect.parens import children, infix, meets_operator, needs_paren, outermost_paren, unnest
from sqlora.sql.dialect.template import MARK, NOT_CALLS, Template, word_of
from sqlora.sql.dialect.unify import SAID_OTHERWISE, Bindings, unify, ways

# Neither may follow an expression that is not a function call.
_AROUND_A_CALL = (exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
# Only the direct argument of a function may be one of these: SUM(DISTINCT x), ARRAY_AGG(x ORDER BY y).
_ARGUMENT_SYNTAX = (exp.Distinct, exp.Order, exp.Limit, exp.HavingMax)


class CallError(NodeError):
    """A house function called in a way it cannot be, at its name."""

    def __init__(self, call: exp.Anonymous, message: str) -> None:
        super().__init__(call, message)
        self.offset = int(call.meta.get("start", -1))
        self.length = len(call.name.removeprefix(MARK)) if not call.name.endswith(MARK) else 1


class Templates:
    """All functions of a house dialect, indexed for both directions."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._by_name: dict[str, list[Template]] = {}
        self._by_root: dict[type[exp.Expr], list[Template]] = {}
        for each in templates:
            self._by_name.setdefault(each.name.upper(), []).append(each)
            self._by_root.setdefault(type(each.body), []).append(each)
        for candidates in self._by_root.values():
            candidates.sort(key=lambda each: -each.weight)  # stable: the file's order among equals

    @property
    def names(self) -> Mapping[str, str]:
        """Upper-case name → the name as the spec writes it."""
        return {name: overloads[0].name for name, overloads in self._by_name.items() if not name.endswith(MARK)}

    def kinds(self) -> dict[str, str]:
        """Upper-case name → ``aggregate`` or ``window``, of the functions and macros that are such."""
        return {name: overloads[0].kind for name, overloads in self._by_name.items() if overloads[0].kind}

    def renamed(self) -> dict[str, str]:
        """Base function that the house calls otherwise → the house's way to write it, for messages."""
        compiled = [each for overloads in self._by_name.values() for each in overloads]
        bases = {each.renames for each in compiled} - {None, *self._by_name}
        return {
            base: " or ".join(each.house for each in compiled if each.base_name == base and each.is_plain)
            for base in bases
            if base is not None
        }

    def expand(self, tree: exp.Expr) -> exp.Expr:
        """Replace the house calls in ``tree`` (changed in place) by base expressions."""
        calls = [node for node in tree.find_all(exp.Anonymous) if is_house(node)]
        for call in reversed(calls):  # breadth-first order reversed: arguments before the calls they are in
            tree = self._expand_call(call, tree)
        return tree

    def fold(self, tree: exp.Expr) -> exp.Expr:
        """Replace what unifies with a template in ``tree`` (changed in place) by house calls."""
        stack = [tree]
        while stack:
            node = stack.pop()
            call = self._match(node) if type(node) in self._by_root or type(node) in SAID_OTHERWISE else None
            if call is None:
                stack.extend(children(node))
                continue
            place = outermost_paren(node)
            if place is tree:
                tree = call
            else:
                place.replace(call)
            stack.extend(call.expressions)
        return tree

    def _match(self, node: exp.Expr) -> exp.Expr | None:
        """What to write for ``node``: a call, or the table that a call is."""
        for instance in ways(node):
            for relaxed in (False, True):
                for each in self._by_root.get(type(instance), ()):
                    if relaxed and not each.has_cast:
                        continue
                    bindings: Bindings = {}
                    body, found = _without_alias(each, instance)
                    if (
                        unify(each, body, found, bindings, relaxed)
                        and _callable(each, node)
                        and _ordered_last(each, bindings)
                    ):
                        return _as_table(each, node, _call(each, bindings))
        return None

    def _expand_call(self, call: exp.Anonymous, tree: exp.Expr) -> exp.Expr:
        each, arguments = self._resolve(call)
        if isinstance(call.parent, exp.Table):
            return _expand_table(each, call, tree)
        body = each.body.copy()
        if isinstance(call.parent, _AROUND_A_CALL) and call.arg_key == "this" and not _callable(each, call):
            raise CallError(call, f"{each.name} is an expression and takes neither OVER nor FILTER")
        values = dict(zip(each.parameters, arguments, strict=False))
        rest = arguments[len(each.parameters) - 1 :] if each.variadic else []
        for node in [node for node in body.walk() if each.parameter(node)]:
            parameter = each.parameter(node) or ""
            last = each.variadic and parameter == each.parameters[-1]
            body = self._substitute(call, node, rest if last else [values[parameter]], body)
        body = _settled(body)
        place = outermost_paren(call)
        result = exp.Paren(this=body) if infix(body) and meets_operator(place) else body
        if place is tree:
            return result
        place.replace(result)
        return tree

    def _resolve(self, call: exp.Anonymous) -> tuple[Template, list[exp.Expr]]:
        """The overload that takes the call's arguments, and the arguments without outer parentheses."""
        overloads = self._by_name[call.name[len(MARK) :].upper()]
        arguments = [unnest(argument) for argument in call.expressions]
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            # sqlglot reads F(DISTINCT a, b) as one argument; for SUM-like templates with more, it is several.
            parts = arguments[0].expressions
            if len(parts) > 1 and not any(each.takes(1) for each in overloads):
                arguments = [exp.Distinct(expressions=[parts[0]]), *parts[1:]]
        each = next((each for each in overloads if each.takes(len(arguments)) and each.says(arguments)), None)
        starred = any(isinstance(argument, exp.Star) for argument in arguments)
        if each is None or (starred and any(each.takes(0) for each in overloads)):
            ways = " or ".join(each.house for each in overloads)
            raise CallError(call, f"{_shown(overloads[0])} is written {ways}")
        places = {at for at, _ in each.words}
        return each, [argument for at, argument in enumerate(arguments) if at not in places]

    def _substitute(self, call: exp.Anonymous, column: exp.Expr, values: list[exp.Expr], body: exp.Expr) -> exp.Expr:
        if not isinstance(column, exp.Column):
            column.replace(_word_like(call, column, values[0]))
            return body
        parent = column.parent
        if parent is None:
            return values[0].copy()
        direct = isinstance(parent, exp.Func) and not isinstance(parent, NOT_CALLS)
        for value in values:
            if isinstance(value, _ARGUMENT_SYNTAX) and not direct:
                raise CallError(call, f"{value.key.upper()} has no place in {call.name[len(MARK) :]}(…)")
        copies = [value.copy() for value in values]
        if not direct:
            copies = [exp.Paren(this=each) if needs_paren(each, column) else each for each in copies]
        column.replace(copies[0] if len(copies) == 1 else copies)
        return body


def is_house(node: exp.Expr) -> bool:
    """Whether ``node`` is a call of a house function or macro."""
    return isinstance(node, exp.Anonymous) and isinstance(node.this, str) and node.this.startswith(MARK)


def _call(each: Template, bindings: Bindings) -> exp.Anonymous:
    arguments: list[exp.Expr] = []
    for parameter in each.parameters:
        bound = bindings[parameter]
        arguments.extend(bound if isinstance(bound, list) else [bound])
    arguments = [unnest(argument) for argument in arguments]
    for at, word in each.words:
        arguments.insert(at, exp.Literal.string(word[1:-1]) if word.startswith("'") else exp.Var(this=word))
    call = exp.Anonymous(this=f"{MARK}{each.name}", expressions=arguments)
    note_kind(call, each.kind)
    return call


def _ordered_last(each: Template, bindings: Bindings) -> bool:
    """Whether ORDER BY, as in STRING_AGG(x, s ORDER BY y), would be written behind the last argument."""
    syntax = exp.Order | exp.Limit | exp.HavingMax
    last = each.parameters[-1] if each.parameters and all(at < len(each.parameters) for at, _ in each.words) else None
    return all(name == last or not isinstance(bound, syntax) for name, bound in bindings.items())


def _callable(each: Template, node: exp.Expr) -> bool:
    """Whether ``each`` may stand where ``node`` stands: OVER and FILTER want a function call."""
    if not isinstance(node.parent, _AROUND_A_CALL) or node.arg_key != "this":
        return True
    return isinstance(each.body, exp.Func) and not isinstance(each.body, NOT_CALLS)


# ── units, words and tables ──────────────────────────────────────────────────────────────────────────────────


def _word_like(call: exp.Anonymous, slot: exp.Expr, value: exp.Expr) -> exp.Expr:
    """The word ``value`` as the node that ``slot`` is: a unit, or the alias of a table."""
    word = word_of(value)
    if isinstance(slot, exp.Identifier):
        if not isinstance(value, exp.Column) or len(value.parts) > 1:
            raise CallError(call, f"{call.name.removeprefix(MARK)} takes the name of a table in {slot.name}'s place")
        name: exp.Expr = value.this
        return name.copy()
    if not word.isalpha():
        raise CallError(call, f"{call.name.removeprefix(MARK)} takes a unit such as DAY or MONTH")
    return exp.Literal.string(word) if isinstance(slot, exp.Literal) else exp.Var(this=word)


def _settled(body: exp.Expr) -> exp.Expr:
    """An expanded body (changed in place) as sqlglot's parser would have it."""
    for interval in body.find_all(exp.Interval):  # INTERVAL 5 DAY is INTERVAL '5' DAY
        number = unnest(interval.this) if interval.this else None
        sign = "-" if isinstance(number, exp.Neg) else ""
        digits = number.this if sign and number else number
        if isinstance(digits, exp.Literal) and not digits.is_string:
            interval.set("this", exp.Literal.string(f"{sign}{digits.name}"))
    for truncated in list(body.find_all(exp.TimestampTrunc)):
        if isinstance(truncated.this, exp.Cast) and truncated.this.to.is_type("date"):
            unit = exp.Literal.string(truncated.args["unit"].name)
            day: exp.Expr = exp.DateTrunc(this=truncated.this, unit=unit)  # type: ignore[no-untyped-call]
            if truncated is body:
                return day
            truncated.replace(day)
    return body


def _without_alias(each: Template, node: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    """Template and instance to unify; what a derived table is called does not matter."""
    if isinstance(each.body, exp.Subquery) and isinstance(node, exp.Subquery):
        return each.body.this, node.this
    return each.body, node


def _as_table(each: Template, node: exp.Expr, call: exp.Anonymous) -> exp.Expr | None:
    if not isinstance(node, exp.Subquery) or not isinstance(each.body, exp.Subquery):
        return call
    if any(value for key, value in node.args.items() if key not in ("this", "alias")):
        return None
    alias = node.args.get("alias")
    if not isinstance(node.parent, exp.From | exp.Join):
        return None if alias else call
    if not alias:
        return None
    plain = alias.name == _table_name(each) and not alias.columns
    return exp.Table(this=call, alias=None if plain else alias.copy())


def _table_name(each: Template) -> str:
    """What the table that a macro is is called where the query says nothing: ``sales`` for ``@sales``."""
    return str((re.findall(r"[A-Za-z_]\w*", each.house) or ["macro"])[-1]).lower()


def _expand_table(each: Template, call: exp.Anonymous, tree: exp.Expr) -> exp.Expr:
    if not isinstance(each.body, exp.Subquery):
        raise CallError(call, f"{each.house} is no table")
    table = call.parent
    assert isinstance(table, exp.Table)
    subquery = each.body.copy()
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(_table_name(each)))
    subquery.set("alias", alias)
    table.replace(subquery)
    return tree


def _shown(each: Template) -> str:
    return each.house if each.name.endswith(MARK) else each.name
