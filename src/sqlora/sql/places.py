"""Where a node of a tree stands in the text it was read from, and what a person calls it there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

from sqlglot import exp
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from sqlora.sql.dialect import Dialect
from sqlora.sql.statements import tokens_of

# What SQL calls a kind of node, where that is not the name of its class.
_TITLES: dict[type[Any], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||", exp.EQ: "=", exp.NEQ: "<>",
    exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.Bracket: "[ ]", exp.Paren: "( )", exp.ILike: "ILIKE",
    exp.JSONExtract: "->", exp.JSONExtractScalar: "->>", exp.Connect: "CONNECT BY", exp.Group: "GROUP BY",
    exp.Order: "ORDER BY", exp.Ordered: "ORDER BY", exp.Window: "OVER", exp.TableSample: "TABLESAMPLE",
    exp.Column: "a column", exp.Table: "a table", exp.Tuple: "( , )", exp.With: "WITH", exp.Dot: ".",
}  # fmt: skip
_NOT_CALLS = (exp.Binary, exp.Connector, exp.Case, exp.Cast)
# What is counted: functions, and clauses and operators that not every query has.
_COUNTED = (
    exp.Func, exp.SetOperation, exp.Join, exp.Group, exp.Having, exp.Order, exp.Limit, exp.Fetch, exp.Offset,
    exp.Qualify, exp.Pivot, exp.Lateral, exp.Window, exp.With, exp.Interval, exp.TableSample, exp.Distinct, exp.In,
    exp.Between, exp.Like, exp.ILike, exp.Is, exp.DPipe, exp.Bracket, exp.Lambda, exp.WithinGroup, exp.Filter,
    exp.Values, exp.AtTimeZone, exp.DDL, exp.DML, exp.Command, exp.Parameter, exp.Placeholder, exp.Collate,
)  # fmt: skip
# Words that a parenthesis may follow which is no call.
_BEFORE_PAREN = frozenset(
    ("AND", "AS", "BY", "IN", "NOT", "ON", "OR", "OVER", "SELECT", "THEN", "USING", "VALUES", "WHEN", "WHERE")
)
_CASTS = frozenset(("CAST", "TRY_CAST", "SAFE_CAST", "CONVERT", "TRY_CONVERT", "::"))
_NAMES = (TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER)


def _is_counted(node: exp.Expr) -> bool:
    """AND is a function to sqlglot, and an If may be a branch of a CASE, which is counted itself."""
    if isinstance(node, exp.Connector) or (isinstance(node, exp.If) and isinstance(node.parent, exp.Case)):
        return False
    return isinstance(node, _COUNTED)


class Places:
    """Knows where the nodes of one text's trees stand."""

    def __init__(self, sql: str, dialect: Dialect) -> None:
        self.sql = sql
        try:
            self._tokens = tokens_of(dialect, sql)
        except TokenError:
            self._tokens = []
        self._house = {call.partition("(")[0].upper() for call in (dialect.spec.functions if dialect.spec else ())}
        self._at = {token.start: index for index, token in enumerate(self._tokens)}

    def of(self, node: exp.Expr) -> tuple[int, int, str]:
        """Line, column (from 1) and the text to underline, which is on one line; (0, 0, '') if nothing is known."""
        found = self._span(node)
        if found is None:
            return 0, 0, ""
        return self._place(*found)

    def _place(self, start: int, end: int) -> tuple[int, int, str]:
        before = self.sql[:start]
        text = self.sql[start:end].partition("\n")[0].rstrip()
        return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1, text

    def of_word(self, word: str, number: int) -> tuple[int, int, str] | None:
        """As `of`, for the ``number``-th (from 1) token of this text; None if there are not so many."""
        found = [token for token in self._tokens if token.text.lower() == word.lower()]
        return self._place(found[number - 1].start, found[number - 1].end + 1) if 0 < number <= len(found) else None

    def construct(self, node: exp.Expr) -> str:
        """``LISTAGG()``, ``QUALIFY``, ``type MONEY``: the name of what the node is, as it was written."""
        if isinstance(node, exp.Command):
            return str(node.this).upper()
        if isinstance(node, exp.Var):
            return node.name.upper()
        if isinstance(node, exp.Alias) and node.parent is None:
            return "the statement"
        if isinstance(node, exp.Column) and node.args.get("join_mark"):
            return "(+)"
        if isinstance(node, exp.DataType):
            return f"type {node.sql().partition('(')[0]}"
        if isinstance(node, exp.Cast):
            return f"{node.key.upper()} AS {node.to.sql().partition('(')[0]}"
        if isinstance(node, exp.Limit | exp.Fetch):
            return "LIMIT"
        if isinstance(node, exp.Func) and not isinstance(node, _NOT_CALLS):
            if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
                return f"{str(node.this).upper()}()"
            token = self._name(node)
            return f"{token.text.upper()}()" if token else f"{node.sql_name()}()"
        if isinstance(node, exp.Join):
            return " ".join(filter(None, (node.method, node.side, node.kind, "JOIN"))).upper()
        return _TITLES.get(type(node)) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()

    def constructs(self, trees: Iterable[exp.Expr]) -> set[str]:
        """The names of all that the trees are made of, but for what every query has."""
        counted = (node for tree in trees for node in tree.walk() if _is_counted(node))
        found = {self.construct(node) for node in counted if not self._is_expansion(node)}
        called = {token.text.upper() for token, after in itertools.pairwise(self._tokens) if after.text == "("}
        return found | {f"{name}()" for name in called & self._house}

    def _is_expansion(self, node: exp.Expr) -> bool:
        """Whether nobody wrote it: it is of what a function of the house stands for."""
        if not self._house:
            return False
        if isinstance(node, exp.Func) and not isinstance(node, _NOT_CALLS):
            return self._name(node) is None
        if isinstance(node, exp.Cast) and _CASTS.isdisjoint(token.text.upper() for token in self._tokens):
            return True
        return not any(self._own(child) for child in node.walk())

    def _span(self, node: exp.Expr) -> tuple[int, int] | None:
        """First character and the one after the last of what to underline."""
        if (own := self._own(node)) and isinstance(node, exp.Func):
            return own.start, own.end + 1
        if isinstance(node, exp.Func) and not isinstance(node, _NOT_CALLS) and (name := self._name(node)):
            return name.start, name.end + 1
        if isinstance(node, exp.Command):
            start = self._tokens[0].start
            return start, start + len(self.sql[start:].split(maxsplit=1)[0])
        if isinstance(node, exp.Var | exp.DataType):
            text = (node.name if isinstance(node, exp.Var) else node.sql().partition("(")[0]).upper()
            if found := [token for token in self._tokens if token.text.upper() == text]:
                return found[0].start, found[0].end + 1
        leaves = [token for child in node.walk() if (token := self._own(child))]
        if not leaves:
            if node.parent is not None:
                return self._span(node.parent)
            return (self._tokens[0].start, self._tokens[0].end + 1) if self._tokens else None
        first = min(leaves, key=lambda token: token.start)
        if isinstance(node, exp.Query) and node.parent is None:
            first = self._tokens[0]
            return first.start, first.end + 1
        return self._introduced(node, first).start, max(token.end for token in leaves) + 1

    def _own(self, node: exp.Expr) -> Token | None:
        """The node's own token; a template's nodes have places in the template, which are none here."""
        meta = node._meta or {}
        index = self._at.get(int(meta.get("start", -1)))
        if index is None:
            return None
        token = self._tokens[index]
        if isinstance(node, exp.Identifier | exp.Literal):
            return token if token.text.lower() == str(node.this).lower() else None
        return token if self._text(index + 1) == "(" else None

    def _name(self, node: exp.Func) -> Token | None:
        """The function's name: the word before the parenthesis that holds all its parts."""
        if own := self._own(node):
            return own
        places = [self._at[token.start] for child in node.walk() if (token := self._own(child))]
        depth, nearest = 0, None
        for index in range(min(places, default=0) - 1, 0, -1):
            text = self._text(index)
            depth += (text == ")") - (text == "(")
            word = self._tokens[index - 1]
            if depth < 0 and word.text[:1].isalpha() and word.text.upper() not in _BEFORE_PAREN:
                nearest = nearest or word  # LISTAGG(b, ',') WITHIN GROUP (ORDER BY c) has no parenthesis around it all
                if self._closing(index) > max(places):
                    return word
            if depth < -3:
                break
        return nearest

    def _closing(self, index: int) -> int:
        """The index of the parenthesis that closes the one at ``index``."""
        depth = 0
        for after in range(index, len(self._tokens)):
            text = self._text(after)
            depth += (text == "(") - (text == ")")
            if not depth:
                return after
        return len(self._tokens)

    def _introduced(self, node: exp.Expr, first: Token) -> Token:
        """The first of the keywords that a clause is introduced by: QUALIFY, ORDER BY, CAST (."""
        found = self._at[first.start]
        if isinstance(node, exp.Condition) and not isinstance(node, exp.Cast | exp.Case | exp.Exists | exp.Window):
            return first
        index = found - 1 if self._text(found - 1) == "(" else found
        for before in range(index - 1, max(index - 4, -1), -1):
            token = self._tokens[before]
            if token.token_type in _NAMES or not token.text[:1].isalpha():
                break
            found = before
        return self._tokens[found]

    def _text(self, index: int) -> str:
        return self._tokens[index].text if 0 <= index < len(self._tokens) else ""
