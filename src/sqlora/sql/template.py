"""House functions as templates that work both ways.

``RATIO(a, b) = a / NULLIF(b, 0)``: parsing substitutes a call's arguments into the base expression
(`Templates.expand`); generating finds trees that unify with a base expression and writes the call
(`Templates.fold`), the most specific template first.

House calls are `exp.Anonymous` nodes whose name starts with `MARK`, a private-use character, so that a house
function may have the name of a base function without the two being taken for each other.

Parentheses: a call's arguments and its expansion are wrapped exactly where operators meet, and unification
looks through parentheses, so that expanding what was folded gives the same tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

MARK = "\ue000"

Bindings = dict[str, exp.Expr | list[exp.Expr]]

# Neither may follow an expression that is not a function call.
_AROUND_A_CALL = (exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
# Functions to sqlglot, syntax to SQL: `CASE … END OVER ()` is no query.
_NOT_CALLS = (exp.Cast, exp.Case, exp.Connector, exp.Binary, exp.If)
# Only the direct argument of a function may be one of these: SUM(DISTINCT x), ARRAY_AGG(x ORDER BY y).
_ARGUMENT_SYNTAX = (exp.Distinct, exp.Order, exp.Limit, exp.HavingMax)
_INFIX = (exp.Binary, exp.Unary, exp.Between, exp.In)  # exp.Paren is a Unary too


@dataclass(frozen=True)
class Template:
    """One house function: ``house`` and ``base`` as written, ``body`` the base expression's tree."""

    house: str
    base: str
    name: str
    parameters: tuple[str, ...]
    variadic: bool
    body: exp.Expr
    weight: int  # nodes of the body that are not parameters: how specific it is
    has_cast: bool  # a function with CAST(parameter …) inside, which matches without the cast too

    @property
    def base_name(self) -> str | None:
        """The base function that the body calls, upper case; None where it is no plain call."""
        found = re.match(r"\s*(\w+)\s*\(", self.base)
        call = isinstance(self.body, exp.Func) and not isinstance(self.body, _NOT_CALLS)
        return found[1].upper() if found and call else None

    @property
    def renames(self) -> str | None:
        """The base function this is another word for whatever the arguments: SUM for TOTAL(x) = SUM(x).

        None for ROUND(x, 2), COUNT(*) or COUNT(DISTINCT x), which are only some of the function's calls.
        """
        return self.base_name if all(map(self._is_parameter, _children(self.body))) else None

    def takes(self, count: int) -> bool:
        """Whether a call may have ``count`` arguments."""
        return count == len(self.parameters) or (self.variadic and count >= len(self.parameters))

    def parameter(self, node: object) -> str | None:
        """The parameter that this node of the body stands for, else None."""
        if not isinstance(node, exp.Column) or node.args.get("table"):
            return None
        return node.name if node.name in self.parameters else None

    @property
    def is_plain(self) -> bool:
        """Whether the call's arguments are parameters, ``*`` or DISTINCT, with nothing computed."""
        return all(
            isinstance(node, exp.Star | exp.Distinct) or self._is_parameter(node) for node in _children(self.body)
        )

    def _is_parameter(self, node: exp.Expr) -> bool:
        return self.parameter(node.this if isinstance(node, exp.Cast) else node) is not None


def signature(house: str) -> tuple[str, tuple[str, ...], bool]:
    """Name, parameters and whether the last takes one or more, of ``NAME(a, b...)``; ValueError otherwise."""
    found = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*\(\s*(.*?)\s*\)\s*", house)
    if not found:
        raise ValueError("a function is written NAME(parameter, …), such as TOTAL(x)")
    parts = [part.strip() for part in found[2].split(",")] if found[2] else []
    variadic = bool(parts) and parts[-1].endswith("...")
    if variadic:
        parts[-1] = parts[-1][:-3]
    for part in parts:
        if not re.fullmatch(r"[A-Za-z_]\w*", part):
            raise ValueError(f"{part!r} is not a parameter name")
    if twice := sorted({part for part in parts if parts.count(part) > 1}):
        raise ValueError(f"parameter {', '.join(twice)} is there twice")
    return found[1], tuple(parts), variadic


def template(house: str, base: str, dialect: sqlglot.Dialect) -> Template:
    """Compile one line of ``[functions]``; ValueError says what is wrong with it."""
    name, parameters, variadic = signature(house)
    text = re.sub(rf"\b{parameters[-1]}\.\.\.", parameters[-1], base) if variadic else base
    try:
        statements = dialect.parse(text)
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{base!r} does not parse: {reason}") from error
    body = statements[0] if len(statements) == 1 else None
    if body is None or isinstance(body, exp.Command | exp.DDL | exp.DML | exp.Select | exp.SetOperation):
        raise ValueError(f"{base!r} is not one expression")
    body = _without_parens(body)
    if isinstance(body, exp.Column):
        raise ValueError(f"{base!r} is only its parameter, which everything would be an instance of")
    columns = {column.sql() for column in body.find_all(exp.Column)}
    if unknown := sorted(columns - set(parameters)):
        raise ValueError(f"{base!r} uses {', '.join(unknown)}, which {house} has no parameter for")
    if unused := [parameter for parameter in parameters if parameter not in columns]:
        raise ValueError(f"{base!r} does not use {', '.join(unused)}, so it could not be written back")
    if variadic and any(c.name == parameters[-1] and c.index is None for c in body.find_all(exp.Column)):
        raise ValueError(f"{parameters[-1]}... does not stand in a list of arguments in {base!r}")
    weight = sum(not isinstance(node, exp.Column | exp.Identifier) for node in body.walk())
    has_cast = isinstance(body, exp.Func) and not isinstance(body, _NOT_CALLS) and bool(body.find(exp.Cast))
    return Template(house, base, name, parameters, variadic, body, weight, has_cast)


class CallError(ValueError):
    """A house function called in a way it cannot be; ``offset`` is where in the text (-1 unknown)."""

    def __init__(self, call: exp.Anonymous, message: str) -> None:
        super().__init__(message)
        self.token = call.name.removeprefix(MARK)
        self.offset = int(call.meta.get("start", -1))


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
        return {name: overloads[0].name for name, overloads in self._by_name.items()}

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
        calls = [node for node in tree.find_all(exp.Anonymous) if _is_house(node)]
        for call in reversed(calls):  # breadth-first order reversed: arguments before the calls they are in
            tree = self._expand_call(call, tree)
        return tree

    def fold(self, tree: exp.Expr) -> exp.Expr:
        """Replace what unifies with a template in ``tree`` (changed in place) by house calls."""
        stack = [tree]
        while stack:
            node = stack.pop()
            call = self._match(node) if type(node) in self._by_root else None
            if call is None:
                stack.extend(_children(node))
                continue
            place = _outermost_paren(node)
            if place is tree:
                tree = call
            else:
                place.replace(call)
            stack.extend(call.expressions)
        return tree

    def _match(self, node: exp.Expr) -> exp.Anonymous | None:
        for relaxed in (False, True):
            for each in self._by_root[type(node)]:
                if relaxed and not each.has_cast:
                    continue
                bindings: Bindings = {}
                if _unify(each, each.body, node, bindings, relaxed) and _callable(each, node):
                    return _call(each, bindings)
        return None

    def _expand_call(self, call: exp.Anonymous, tree: exp.Expr) -> exp.Expr:
        each, arguments = self._resolve(call)
        body = each.body.copy()
        if isinstance(call.parent, _AROUND_A_CALL) and call.arg_key == "this" and not _callable(each, call):
            raise CallError(call, f"{each.name} is an expression and takes neither OVER nor FILTER")
        values = dict(zip(each.parameters, arguments, strict=False))
        rest = arguments[len(each.parameters) - 1 :] if each.variadic else []
        for column in [node for node in body.find_all(exp.Column) if each.parameter(node)]:
            last = each.variadic and column.name == each.parameters[-1]
            body = self._substitute(call, column, rest if last else [values[column.name]], body)
        place = _outermost_paren(call)
        result = exp.Paren(this=body) if _infix(body) and _meets_operator(place) else body
        if place is tree:
            return result
        place.replace(result)
        return tree

    def _resolve(self, call: exp.Anonymous) -> tuple[Template, list[exp.Expr]]:
        """The overload that takes the call's arguments, and the arguments without outer parentheses."""
        overloads = self._by_name[call.name[len(MARK) :].upper()]
        arguments = [_unnest(argument) for argument in call.expressions]
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            # sqlglot reads F(DISTINCT a, b) as one argument; for SUM-like templates with more, it is several.
            parts = arguments[0].expressions
            if len(parts) > 1 and not any(each.takes(1) for each in overloads):
                arguments = [exp.Distinct(expressions=[parts[0]]), *parts[1:]]
        each = next((each for each in overloads if each.takes(len(arguments))), None)
        starred = any(isinstance(argument, exp.Star) for argument in arguments)
        if each is None or (starred and any(each.takes(0) for each in overloads)):
            ways = " or ".join(each.house for each in overloads)
            raise CallError(call, f"{overloads[0].name} is written {ways}")
        return each, arguments

    def _substitute(self, call: exp.Anonymous, column: exp.Expr, values: list[exp.Expr], body: exp.Expr) -> exp.Expr:
        parent = column.parent
        if parent is None:
            return values[0].copy()
        direct = isinstance(parent, exp.Func) and not isinstance(parent, _NOT_CALLS)
        for value in values:
            if isinstance(value, _ARGUMENT_SYNTAX) and not direct:
                raise CallError(call, f"{value.key.upper()} has no place in {call.name[len(MARK) :]}(…)")
        copies = [value.copy() for value in values]
        if not direct:
            copies = [exp.Paren(this=each) if _needs_paren(each, column) else each for each in copies]
        column.replace(copies[0] if len(copies) == 1 else copies)
        return body


def _is_house(node: exp.Anonymous) -> bool:
    return isinstance(node.this, str) and node.this.startswith(MARK)


def _call(each: Template, bindings: Bindings) -> exp.Anonymous:
    arguments: list[exp.Expr] = []
    for parameter in each.parameters:
        bound = bindings[parameter]
        arguments.extend(bound if isinstance(bound, list) else [bound])
    return exp.Anonymous(this=f"{MARK}{each.name}", expressions=[_unnest(a) for a in arguments])


def _callable(each: Template, node: exp.Expr) -> bool:
    """Whether ``each`` may stand where ``node`` stands: OVER and FILTER want a function call."""
    if not isinstance(node.parent, _AROUND_A_CALL) or node.arg_key != "this":
        return True
    return isinstance(each.body, exp.Func) and not isinstance(each.body, _NOT_CALLS)


def _unify(each: Template, pattern: object, node: object, bindings: Bindings, relaxed: bool) -> bool:
    """Whether ``node`` is an instance of ``pattern``; fills ``bindings``.

    ``relaxed``: a pattern's CAST around a parameter may be missing: YEAR(d) is an instance of
    YEAR(CAST(d AS DATE)), which gives the same where both are defined.
    """
    if not isinstance(pattern, exp.Expr) or not isinstance(node, exp.Expr):
        return pattern == node
    pattern, node = _unnest(pattern), _unnest(node)
    if parameter := each.parameter(pattern):
        bound = bindings.setdefault(parameter, node)
        return bound is node or bound == node
    if type(pattern) is not type(node):
        cast = relaxed and isinstance(pattern, exp.Cast) and each.parameter(pattern.this)
        return bool(cast) and _unify(each, pattern.this, node, bindings, relaxed)
    return all(
        _unify_argument(each, pattern.args.get(key), node.args.get(key), bindings, relaxed)
        for key in pattern.args.keys() | node.args.keys()
    )


def _unify_argument(each: Template, pattern: object, node: object, bindings: Bindings, relaxed: bool) -> bool:
    if not isinstance(pattern, list):
        return (not pattern and not node) or _unify(each, pattern, node, bindings, relaxed)
    nodes = node if isinstance(node, list) else []
    parameter = each.parameter(pattern[-1]) if pattern and each.variadic else None
    if parameter and parameter == each.parameters[-1]:
        head = pattern[:-1]
        if len(nodes) <= len(head):
            return False
        bindings[parameter] = list(nodes[len(head) :])
        nodes = nodes[: len(head)]
        pattern = head
    return len(pattern) == len(nodes) and all(
        _unify(each, a, b, bindings, relaxed) for a, b in zip(pattern, nodes, strict=True)
    )


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    for value in node.args.values():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr):
                yield child


def _unnest(node: exp.Expr) -> exp.Expr:
    while type(node) is exp.Paren:
        node = node.this
    return node


def _outermost_paren(node: exp.Expr) -> exp.Expr:
    while type(node.parent) is exp.Paren:
        node = node.parent
    return node


def _without_parens(body: exp.Expr) -> exp.Expr:
    """The body without its outer parentheses; inner ones stay, unification looks through them."""
    body = _unnest(body)
    body.parent = None
    return body


def _infix(node: exp.Expr) -> bool:
    """Whether ``node`` is written with an operator, so that a neighbouring operator could tear it apart."""
    return isinstance(node, _INFIX) and not isinstance(node, exp.Paren | exp.Dot)


def _meets_operator(place: exp.Expr) -> bool:
    """Whether ``place`` is an operand, as against an item of a list or an argument of a call."""
    parent = place.parent
    if isinstance(parent, exp.In | exp.Bracket) and place.arg_key != "this":
        return False
    return isinstance(parent, (*_INFIX, exp.Bracket, exp.Interval)) and not isinstance(parent, exp.Paren)


def _needs_paren(value: exp.Expr, place: exp.Expr) -> bool:
    if isinstance(value, exp.Neg) and isinstance(value.this, exp.Literal):
        return isinstance(place.parent, exp.Unary | exp.Bracket | exp.Interval)
    return _infix(value) and _meets_operator(place)
