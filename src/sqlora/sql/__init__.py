"""The SQL domain: dialects, schemas, checking, running and comparing. Knows nothing of models.

    dialect/       house dialects over sqlglot's
    schema/        what a database holds: read, written, pruned
    execute/       running it, read-only and within limits
    check.py       may a query be run, and does it make sense? names.py, spelling.py, functions.py, finding.py,
                   double_quotes.py
    compare.py     are two results the same answer? cells.py
    structure.py   a query without its values · constructs.py: what it is made of
    roundtrip.py   what survives the way to an engine and back: statements.py, translate.py, engines.py, places.py
    sqlglot_log.py what sqlglot says on the way
    personal.py    texts that should not be taught · personal_values.py
"""
