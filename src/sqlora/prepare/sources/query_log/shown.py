"""A rejected statement as a report may show it: no value, and no name that the schema does not have.

It is written anew from its tree. Its text is not to be trusted: after a quote that is open or escaped in another way,
values stand where names are expected.
"""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.errors import SqlglotError

from sqlora.errors import DialectError
from sqlora.prepare.sources.query_log.literals import TEXTS, drop_remarks
from sqlora.prepare.sources.query_log.mask import Mask
from sqlora.prepare.sources.query_log.tally import NOT_QUERIES
from sqlora.sql import functions
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema

LENGTH = 300  # characters of a statement

_VERBS = NOT_QUERIES | {"FROM", "SELECT", "TABLE", "VALUES", "WITH"}
_VALUES = (exp.Literal, exp.JSONPath, exp.Placeholder, exp.Parameter, *TEXTS)


class Shown:
    """Statements in one dialect over one schema."""

    def __init__(self, dialect: Dialect, mask: Mask, schema: Schema) -> None:
        self._dialect, self._mask = dialect, mask
        self._names = {
            name.lower()
            for table in schema.tables
            for name in (table.name, table.namespace, *(column.name for column in table.columns))
        }
        self._functions = functions.allowed(dialect.base)

    def statement(self, sql: str) -> str:
        """The statement with ``?`` for each value and each name that is not the schema's."""
        try:
            tree = self._dialect.parse(sql)
            drop_remarks(tree)
            for node in list(tree.find_all(*_VALUES)):
                node.replace(exp.var("?"))
            for name in tree.find_all(exp.Identifier):
                if name.name.lower() not in self._names:
                    name.replace(exp.to_identifier("?", quoted=False))
            for call in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc):
                if call.name.lower() not in self._functions:
                    call.set("this", "?")
            return tree.sql(self._dialect.base, comments=False)[:LENGTH]
        except (DialectError, SqlglotError, RecursionError, ValueError, LookupError, AttributeError, TypeError):
            return self.unread(sql)  # the parser makes trees that can't be written

    def unread(self, sql: str) -> str:
        """What can be said of a statement that does not parse: its verb, and how long it is."""
        verb = self._mask.verb(sql)
        return f"{verb if verb in _VERBS else ''} … ({len(sql):,} characters)".strip()

    def said(self, text: str, tree: exp.Expr) -> str:
        """What was said of a tree, with ``?`` for the names in it that are not the schema's."""
        names = {name.name for name in tree.find_all(exp.Identifier) if name.name.lower() not in self._names}
        names |= {call.name for call in tree.find_all(exp.Anonymous) if call.name.lower() not in self._functions}
        for name in sorted(filter(None, names), key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "?", text, flags=re.IGNORECASE)
        return text
