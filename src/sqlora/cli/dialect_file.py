"""The file that ``sqlora dialect new`` writes: a spec that changes nothing yet, with an example of every key."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlora.sql.dialect import Dialect

_CASE = '#: case = "any"                          # or upper, lower, exact: which spellings are one name'
_CAPITALS = "# names without quotes are in capitals, as in the base"


def new_dialect(start: Dialect, name: str) -> str:
    """The TOML text of a spec called ``name`` that begins as ``start``. DialectError for what is no name."""
    from sqlora.sql.dialect import Dialect
    from sqlora.sql.dialect.shipped import shipped_dialects, shipped_spec, shipped_text
    from sqlora.sql.dialect.spec import DialectSpec

    if start.name in shipped_dialects() and start.spec == shipped_spec(start.name):
        text = re.sub(r"(?m)^name = .*$", lambda _: f"name = {json.dumps(name)}", shipped_text(start.name), count=1)
    elif start.spec is not None:
        spec = start.spec.model_copy(update={"name": name})
        Dialect(name, spec)  # refuses what contradicts itself
        return f"# {name}: begun as {start.name}. Every line reads house = base.\n\n{spec.to_toml()}"
    else:
        text = _template(start, name)
    Dialect(name, DialectSpec.from_text(text, "the new dialect"))
    return text


def _template(start: Dialect, name: str) -> str:
    from importlib.resources import files

    import sqlglot
    from sqlglot.dialects.dialect import NormalizationStrategy

    base = sqlglot.Dialect.get_or_raise(start.base)
    quote = base.tokenizer_class.QUOTES[0]
    values = {
        "NAME": json.dumps(name, ensure_ascii=False),
        "BASE": json.dumps(start.base),
        "OPEN": json.dumps(base.IDENTIFIER_START),
        "CLOSE": json.dumps(base.IDENTIFIER_END),
        "CASE": _CAPITALS if base.normalization_strategy is NormalizationStrategy.UPPERCASE else _CASE,
        "STRING": json.dumps(quote if isinstance(quote, str) else quote[0]),
    }
    text = files("sqlora.cli").joinpath("templates", "dialect.toml").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"«{key}»", value)
    return text
