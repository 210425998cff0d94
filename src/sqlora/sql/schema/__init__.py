"""What a database holds, as plain data, and all that is done with it.

    schema.py      Schema, Table, Column, ForeignKey
    ddl.py         read from DDL or a dump (ddl_derived.py, ddl_reduced.py, folding.py)
    dbt.py         read from dbt's manifest.json
    samples.py     a few values of each column
    text.py        written as DDL and for a prompt
    prune.py       what of a wide one a question needs: relevance.py, joins.py; needed.py measures what was missed
"""

from sqlora.sql.schema.schema import DEFAULT_NAMESPACES, Column, ForeignKey, Schema, Style, Table

__all__ = ["DEFAULT_NAMESPACES", "Column", "ForeignKey", "Schema", "Style", "Table"]
