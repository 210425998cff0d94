"""What a query on a database server is fenced with, by server: data, and the look at a query's first word."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlglot.dialects.dialect import Dialect as SqlglotDialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType


@dataclass(frozen=True)
class Fence:
    """Statements ``before`` and ``after`` a query, with {ms} for the time limit; where there is none after it, the
    connection is closed. ``again`` sets the limit anew before another batch of rows.

    ``powers`` asks what the role may do; ``power`` is what no role may that queries are run as, and ``reader`` makes
    one that may not.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    again: str
    powers: str
    power: str
    reader: str

    def is_power(self, found: object) -> bool:
        """Whether one answer to ``powers`` is too much."""
        return re.search(self.power, str(found), re.IGNORECASE) is not None


POSTGRESQL = Fence(
    before=("BEGIN TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {ms}"),
    after=("ROLLBACK", "DISCARD ALL"),
    again="SET LOCAL statement_timeout = {ms}",
    powers="""
        SELECT role FROM pg_roles, unnest(
            ARRAY['pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program']) AS role
        WHERE rolname IN (session_user, current_user) AND (rolsuper OR pg_has_role(rolname, role, 'MEMBER'))""",
    power="",  # any of them
    reader="CREATE ROLE reader LOGIN PASSWORD '…'; GRANT pg_read_all_data TO reader;",
)
_GRANTS = {
    "powers": "SHOW GRANTS",
    "power": r"^GRANT\b.*(\bALL PRIVILEGES ON \*\.\*|\b(FILE|SUPER)\b.* ON \*\.\*)",
    "reader": "CREATE USER reader IDENTIFIED BY '…'; GRANT SELECT ON your_database.* TO reader;",
}
MYSQL = Fence(
    before=("SET SESSION max_execution_time = {ms}", "START TRANSACTION READ ONLY"), after=(), again="", **_GRANTS
)
MARIADB = Fence(
    before=("SET SESSION max_statement_time = {ms} / 1000", "START TRANSACTION READ ONLY"),
    after=(),
    again="",
    **_GRANTS,
)
FENCES = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MARIADB}

_FIRST = (TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN, TokenType.VALUES)


def is_select(sql: str, dialect: str) -> bool:
    """Whether a text begins like a query. MySQL runs what stands in /*! … */, so that is none."""
    if re.search(r"/\*M?!", sql):
        return False
    try:
        tokens = SqlglotDialect.get_or_raise(dialect).tokenize(sql)
    except SqlglotError:
        return False
    return bool(tokens) and tokens[0].token_type in _FIRST
