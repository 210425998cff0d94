"""Validity: does it parse in the dialect and name only what the schema has? Known without running it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlora.errors import DialectError
from sqlora.sql.check import check
from sqlora.sql.dialect import Dialect
from sqlora.sql.schema import Schema

# `Finding.kind` → what it is called in a report.
KIND_OF_FINDING = {
    "syntax": "syntax",
    "statement": "not a query",
    "table": "unknown table",
    "column": "unknown column",
    "ambiguous": "ambiguous column",
    "function": "unknown function",
}


SHOWN = 3  # findings in a report


@dataclass(frozen=True)
class Validity:
    """``kind`` and ``detail`` say what is wrong, empty when nothing is."""

    kind: str = ""
    detail: str = ""

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.kind


def validity(sql: str, dialect: Dialect, schema: Schema | None) -> Validity:
    """Check an answer; without a schema only that it is one query of the dialect."""
    if not sql.strip():
        return Validity("no answer", "the answer is empty")
    if schema is None:
        try:
            dialect.parse(sql)
        except DialectError as error:
            return Validity("syntax", error.message)
        return Validity()
    findings = check(sql, dialect, schema)
    if not findings:
        return Validity()
    # A wrong table makes its columns unknown too: the cause is named before what follows from it.
    order = list(KIND_OF_FINDING)
    first = min(findings, key=lambda finding: order.index(finding.kind))
    said = (finding.message if finding.kind == "syntax" else str(finding) for finding in findings[:SHOWN])
    return Validity(KIND_OF_FINDING[first.kind], "; ".join(said))
