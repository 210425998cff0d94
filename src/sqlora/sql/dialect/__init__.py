"""House dialects: SQL that a spec describes, read into and written from trees of the dialect under it.

    dialect.py         Dialect: parse, generate, normalize; load_dialect by name or file
    spec.py            DialectSpec: what a house writes differently, as data
    spec_file.py       … as a TOML file, with every problem and its line
    contradictions.py  what keeps a spec from meaning one thing
    shipped.py         the specs that come with sqlora (sqlora/dialects/*.toml)

The text, between characters and tokens:

    words.py           quotes, keywords, operators, and what each step below is called in the text
    literals.py        dates and times · intervals.py · casts.py · set_operators.py

The grammar, which is the base's with what the spec changes of it:

    grammar.py         the parser and the generator
    types.py           type names · pagination.py: LIMIT, TOP, FETCH and ROWNUM
    pipe_parser.py, pipe_writer.py   FROM … |> … |> …

The tree, between what the house wrote and what the base means:

    forms.py           the steps, in order, and the same ones backwards
    template.py        functions and macros as templates · calls.py: expanded and folded · unify.py, parens.py
    conditions.py      booleans · ordering.py: NULLs · within_group.py: an aggregate's rows
    forbidden.py · name_case.py · aggregation.py · node_error.py
    adapted.py         what sqlglot writes for every dialect though not every one has it
    own_words.py       what is taught in its own words, and what in normal form
"""

from sqlora.sql.dialect.dialect import Dialect, load_dialect
from sqlora.sql.dialect.shipped import shipped_dialects
from sqlora.sql.dialect.spec import DialectSpec

__all__ = ["Dialect", "DialectSpec", "load_dialect", "shipped_dialects"]
