"""House functions as templates that work both ways.

``RATIO(a, b) = a / NULLIF(b, 0)``: parsing substitutes a call's arguments into the base expression
(`Templates.expand`); generating finds trees that unify with a base expression and writes the call
(`Templates.fold`), the most specific template first.

A parameter called ``unit`` stands for DAY, MONTH, …; a name in capitals that the base expression does not use is a
word that stands as it is: ``DATEDIFF(unit, a, b) = DATE_DIFF('unit', a, b)``, ``AGE(YEARS, d) = …``. Macros are
templates without parameters, spelled in any way, whose base expression may use columns, or be a query.

House calls are `exp.Anonymous` nodes whose name starts with `MARK`, a private-use character, so that a house
function may have the name of a base function without the two being taken for each other.

Parentheses: a call's arguments and its expansion are wrapped exactly where operators meet, and unification
looks through parentheses, so that expanding what was folded gives the same tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.sql.dialect.aggregation import kind_of
from sqlora.sql.dialect.parens import children, without_parens

MARK = "\ue000"

UNIT = "unit"  # the parameter that stands for DAY, MONTH, …
ANY_UNIT = "CENTURY"  # stands for it while a template is parsed: a unit that sqlglot knows and nobody needs

# Functions to sqlglot, syntax to SQL: `CASE … END OVER ()` is no query.
NOT_CALLS = (exp.Cast, exp.Case, exp.Connector, exp.Binary, exp.If)


@dataclass(frozen=True)
class Template:
    """One house function: ``house`` and ``base`` as written, ``body`` the base expression's tree."""

    house: str
    base: str
    name: str
    parameters: tuple[str, ...]
    words: tuple[tuple[int, str], ...]  # arguments that are fixed words: their places and the words
    variadic: bool
    body: exp.Expr
    weight: int  # nodes of the body that are not parameters: how specific it is
    kind: str  # ``aggregate``, ``window`` or nothing
    has_cast: bool  # a function with CAST(parameter …) inside, which matches without the cast too

    @property
    def base_name(self) -> str | None:
        """The base function that the body calls, upper case; None where it is no plain call."""
        found = re.match(r"\s*(\w+)\s*\(", self.base)
        call = isinstance(self.body, exp.Func) and not isinstance(self.body, NOT_CALLS)
        return found[1].upper() if found and call else None

    @property
    def renames(self) -> str | None:
        """The base function this is another word for whatever the arguments: SUM for TOTAL(x) = SUM(x).

        None for ROUND(x, 2), COUNT(*) or COUNT(DISTINCT x), which are only some of the function's calls.
        """
        return self.base_name if all(map(self._is_parameter, children(self.body))) else None

    def takes(self, count: int) -> bool:
        """Whether a call may have ``count`` arguments."""
        least = len(self.parameters) + len(self.words)
        return count == least or (self.variadic and count >= least)

    def says(self, arguments: list[exp.Expr]) -> bool:
        """Whether the fixed words stand where they should among ``arguments``."""
        return all(at < len(arguments) and word_of(arguments[at]) == word.upper() for at, word in self.words)

    def parameter(self, node: object) -> str | None:
        """The parameter that this node of the body stands for, else None."""
        if isinstance(node, exp.Var | exp.Literal):
            return UNIT if UNIT in self.parameters and node.name.upper() == ANY_UNIT else None
        if isinstance(node, exp.Identifier):  # the alias of a table: t.tenant_id
            return node.name if node.arg_key == "table" and node.name in self.parameters else None
        if not isinstance(node, exp.Column) or node.args.get("table"):
            return None
        return node.name if node.name in self.parameters else None

    @property
    def is_plain(self) -> bool:
        """Whether the call's arguments are parameters, ``*`` or DISTINCT, with nothing computed."""
        return all(
            isinstance(node, exp.Star | exp.Distinct) or self._is_parameter(node) for node in children(self.body)
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
        if not re.fullmatch(r"[A-Za-z_]\w*|'\w+'", part):
            raise ValueError(f"{part!r} is not a parameter name")
    if twice := sorted({part for part in parts if parts.count(part) > 1}):
        raise ValueError(f"parameter {', '.join(twice)} is there twice")
    return found[1], tuple(parts), variadic


def template(house: str, base: str, dialect: sqlglot.Dialect) -> Template:
    """Compile one line of ``[functions]``; ValueError says what is wrong with it."""
    name, parameters, variadic = signature(house)
    text = re.sub(rf"\b{parameters[-1]}\.\.\.", parameters[-1], base) if variadic else base
    if UNIT in parameters:
        text = re.sub(rf"\b{UNIT}\b", ANY_UNIT, text)
    body = _body(base, text, dialect)
    if isinstance(body, exp.Select | exp.SetOperation):
        raise ValueError(f"{base!r} is not one expression")
    if isinstance(body, exp.Column) and not body.args.get("table"):
        raise ValueError(f"{base!r} is only its parameter, which everything would be an instance of")
    columns = {_qualifier_or_name(column) for column in body.find_all(exp.Column)}
    if UNIT in parameters and any(stands_for_unit(node) for node in body.walk()):
        columns.add(UNIT)
    if unknown := sorted(columns - set(parameters)):
        raise ValueError(f"{base!r} uses {', '.join(unknown)}, which {house} has no parameter for")
    unused = [parameter for parameter in parameters if parameter not in columns]
    words = tuple((at, word) for at, word in enumerate(parameters) if word in unused and _is_word(word))
    if unused := [parameter for parameter in unused if not _is_word(parameter)]:
        raise ValueError(f"{base!r} does not use {', '.join(unused)}, so it could not be written back")
    parameters = tuple(parameter for parameter in parameters if parameter in columns)
    if variadic and any(c.name == parameters[-1] and c.index is None for c in body.find_all(exp.Column)):
        raise ValueError(f"{parameters[-1]}... does not stand in a list of arguments in {base!r}")
    has_cast = isinstance(body, exp.Func) and not isinstance(body, NOT_CALLS) and bool(body.find(exp.Cast))
    return Template(house, base, name, parameters, words, variadic, body, _weight(body), kind_of(body), has_cast)


def macro(house: str, base: str, dialect: sqlglot.Dialect, number: int) -> Template:
    """Compile one line of ``[macros]``; ValueError says what is wrong with it."""
    body = _body(base, base, dialect)
    if isinstance(body, exp.Select | exp.SetOperation):
        body = exp.Subquery(this=body)
    # Not a name that a function can have: the end is marked too.
    return Template(house, base, f"M{number}{MARK}", (), (), False, body, _weight(body), kind_of(body), False)


def _body(base: str, text: str, dialect: sqlglot.Dialect) -> exp.Expr:
    try:
        statements = dialect.parse(text)
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{base!r} does not parse: {reason}") from error
    body = statements[0] if len(statements) == 1 else None
    if body is None or (isinstance(body, exp.Command | exp.DDL | exp.DML) and not isinstance(body, exp.Query)):
        raise ValueError(f"{base!r} is not one expression")
    for node in body.walk():
        node.meta.clear()  # positions in this text are none in a query's
    return without_parens(body)


def _is_word(parameter: str) -> bool:
    return parameter == parameter.upper() or parameter.startswith("'")


def _weight(body: exp.Expr) -> int:
    return sum(not isinstance(node, exp.Column | exp.Identifier) for node in body.walk())


def _qualifier_or_name(column: exp.Column) -> str:
    return column.table if column.table else column.sql()


def word_of(node: exp.Expr) -> str:
    """The word that an argument is, in capitals; empty for anything else."""
    if isinstance(node, exp.Column):
        return node.name.upper() if len(node.parts) == 1 and not node.this.args.get("quoted") else ""
    if isinstance(node, exp.Literal) and node.is_string:
        return f"'{node.name.upper()}'"
    return node.name.upper() if isinstance(node, exp.Var) else ""


def stands_for_unit(node: exp.Expr) -> bool:
    """Whether ``node`` of a body is in the place of a unit."""
    return isinstance(node, exp.Var | exp.Literal) and node.name.upper() == ANY_UNIT
