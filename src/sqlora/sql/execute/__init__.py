"""Running SQL read-only, within limits, without access to anything outside the database.

    open.py        open_database, and run_query: the one way to run what a model or a person wrote
    database.py    Database, Limits, ResultSet
    duckdb_database.py, sqlite_database.py, sqlalchemy_database.py   one engine each
    mysql_catalog.py, server_fences.py                               what servers need besides
    isolated.py    a database in a process of its own, which is ended when a query does not end by itself
"""

from sqlora.sql.execute.database import Database, Limits, ResultSet
from sqlora.sql.execute.open import open_database, run_query

__all__ = ["Database", "Limits", "ResultSet", "open_database", "run_query"]
