"""Dates in the words of a dialect: its own functions where it has them, else the base's.

A dialect's function is recognised by its name (``FISCAL_YEAR``, ``ADD_DAYS``), or named by the glossary's
``[functions]``. Either way the tree is in the base's terms, and generating the query folds it into the house's.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from sqlglot import exp, parse_one

from sqlora.sql.dialect import Dialect
from sqlora.sql.execute import Database

NAMES: dict[str, tuple[str, ...]] = {
    "today": ("BUSINESS_DATE", "TODAY", "BUSINESS_DAY", "AS_OF_DATE", "REPORTING_DATE"),
    "year": ("YEAR_OF", "GET_YEAR", "YEAR"),
    "month": ("MONTH_OF", "GET_MONTH", "MONTH"),
    "month_start": ("MONTH_START", "START_OF_MONTH", "FIRST_OF_MONTH"),
    "add_days": ("ADD_DAYS", "DAYS_ADD", "PLUS_DAYS"),
    "add_months": ("ADD_MONTHS", "MONTHS_ADD", "PLUS_MONTHS"),
    "days_between": ("DAYS_BETWEEN", "DAY_DIFF", "DAYS_DIFF"),
    "fiscal_year": ("FISCAL_YEAR", "FISCALYEAR", "FY_OF"),
    "fiscal_quarter": ("FISCAL_QUARTER", "FISCALQUARTER", "FQ_OF"),
}

ARITY = {"today": 0, "add_days": 2, "add_months": 2, "days_between": 2}

# What a base says where the dialect has no function of its own. A base that is not listed gets DuckDB's, which
# sqlglot translates, but for adding, which it translates from BigQuery's. SQLite keeps dates as text.
BASES: dict[str, dict[str, str]] = {
    "duckdb": {
        "today": "CURRENT_DATE",
        "year": "EXTRACT(YEAR FROM a)",
        "month": "EXTRACT(MONTH FROM a)",
        "month_start": "DATE_TRUNC('month', a)",
        "day": "CAST(a AS DATE)",
        "add_days": "a + INTERVAL (b) DAY",
        "add_months": "a + INTERVAL (b) MONTH",
        "days_between": "DATE_DIFF('day', a, b)",
    },
    "sqlite": {
        "today": "DATE('now')",
        "year": "CAST(STRFTIME('%Y', a) AS INTEGER)",
        "month": "CAST(STRFTIME('%m', a) AS INTEGER)",
        "month_start": "DATE(a, 'start of month')",
        "day": "DATE(a)",
        "add_days": "DATE(a, (b) || ' days')",
        "add_months": "DATE(a, (b) || ' months')",
        "days_between": "CAST(JULIANDAY(b) - JULIANDAY(a) AS INTEGER)",
    },
}

ADDING = {"add_days": "DATE_ADD(a, INTERVAL b DAY)", "add_months": "DATE_ADD(a, INTERVAL b MONTH)"}


class Functions:
    """Builds calls on dates; ``has(role)`` says which there are (fiscal ones only where the dialect has them)."""

    def __init__(self, dialect: Dialect, given: Mapping[str, str] | None = None, today: datetime.date | None = None):
        base = dialect.base if dialect.base in BASES else "duckdb"
        self._templates = {role: parse_one(text, dialect=base) for role, text in BASES[base].items()}
        if dialect.base not in BASES:
            self._templates |= {role: parse_one(text, dialect="bigquery") for role, text in ADDING.items()}
        if dialect.base == "oracle":
            del self._templates["day"]  # a DATE of Oracle's has a time of its own
        if today is not None:
            self._templates["today"] = exp.cast(exp.Literal.string(today.isoformat()), "date")
        declared = dialect.spec.functions if dialect.spec else {}
        known = {match[0].upper(): match[0] for signature in declared if (match := re.match(r"\w+", signature))}
        for role, names in NAMES.items():
            name = (given or {}).get(role) or next((known[name] for name in names if name in known), None)
            if name and not (role == "today" and today is not None):
                arguments = ", ".join("ab"[: ARITY.get(role, 1)])
                self._templates[role] = dialect.parse(f"SELECT {name}({arguments})").selects[0]

    def has(self, role: str) -> bool:
        """Whether ``role`` can be written."""
        return role in self._templates

    def call(self, role: str, *arguments: exp.Expr) -> exp.Expr:
        """``role`` applied to copies of ``arguments``, in the base's terms."""
        places = dict(zip("ab", arguments, strict=False))

        def fill(node: exp.Expr) -> exp.Expr:
            filled = places.get(node.name) if isinstance(node, exp.Column) else None
            if filled is None:
                return node
            return exp.Paren(this=filled.copy()) if isinstance(filled, exp.Binary) else filled.copy()

        return self._templates[role].copy().transform(fill)

    def today(self) -> exp.Expr:
        """The dialect's business date, else the glossary's, else the clock's."""
        return self.call("today")

    def shifted(self, role: str, count: int) -> exp.Expr:
        """Today moved by ``count`` days or months (``role`` add_days or add_months)."""
        return self.call(role, self.today(), integer(count))

    def now(self, database: Database) -> datetime.date:
        """What `today` is in the database at this moment."""
        value = database.run(exp.select(self.today()).sql(database.dialect_name)).rows[0][0]
        return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value)[:10])


def integer(value: int) -> exp.Expr:
    """A whole number as a tree, negative ones too."""
    literal = exp.Literal.number(str(abs(value)))
    return exp.Neg(this=literal) if value < 0 else literal
