"""What is wrong with a dialect spec, all at once.

Each problem is (key, reason), the key as in the file: ``("functions", "TOTAL(x)")``.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import NormalizationStrategy
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from sqlora.sql.dialect import forbidden, pagination
from sqlora.sql.dialect.intervals import UNITS
from sqlora.sql.dialect.literals import LiteralError, delimiters, form, written
from sqlora.sql.dialect.set_operators import set_operators
from sqlora.sql.dialect.spec import DialectSpec, Key
from sqlora.sql.dialect.template import Template, macro, template
from sqlora.sql.dialect.words import house_tokenizer

Problem = tuple[Key, str]


def contradictions(spec: DialectSpec) -> list[Problem]:
    """Everything that keeps ``spec`` from meaning one thing; empty for a sound spec."""
    problems: list[Problem] = []
    if not spec.name or not spec.name.replace("_", "").replace("-", "").isalnum():
        problems.append((("name",), f"{spec.name!r} is not a name of letters, digits, - and _"))
    problems += _quoting(spec)
    try:
        base = sqlglot.Dialect.get_or_raise(spec.base.lower() or "-")
    except ValueError:
        return [*problems, (("base",), f"{spec.base!r} is not a dialect that sqlglot has")]
    problems += _case(spec, base)
    compiled = _compile(spec, base, problems)
    problems += _words(spec, base)
    problems += _functions(spec, compiled)
    problems += _types(spec, base)
    problems += _pagination(spec)
    if not problems:  # these need quotes and words that are sound
        problems += _macros(spec, base)
        problems += _literals(spec, base)
        problems += _booleans(spec, base)
        problems += _forbidden(spec, base)
    return problems


def _quoting(spec: DialectSpec) -> Iterator[Problem]:
    opening, closing = spec.identifier_quotes
    quote = spec.string_quote
    for key, text in (("identifiers", opening), ("identifiers", closing), ("strings", quote)):
        if len(text) != 1 or text.isalnum() or text.isspace() or text in "_.,;()*":
            yield ("quoting", key), f"{text!r} is not one character that can quote"
    if quote in (opening, closing):
        yield ("quoting", "strings"), f"{quote} quotes both strings and identifiers"


def _case(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    upper = (NormalizationStrategy.UPPERCASE, NormalizationStrategy.CASE_INSENSITIVE_UPPERCASE)
    if spec.name_case and base.normalization_strategy in upper:
        yield ("quoting", "case"), f"names in {spec.base} are in capitals as it is"


def _compile(spec: DialectSpec, base: sqlglot.Dialect, problems: list[Problem]) -> list[Template]:
    compiled = []
    for house, text in spec.functions.items():
        try:
            compiled.append(template(house, text, base))
        except ValueError as error:
            problems.append((("functions", house), str(error)))
    return compiled


_SET_KEYS = {
    "UNION": "union",
    "UNION ALL": "union_all",
    "INTERSECT": "intersect",
    "INTERSECT ALL": "intersect_all",
    "EXCEPT": "except",
    "EXCEPT ALL": "except_all",
}


def _all_words(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[tuple[Key, str, str]]:
    """Key, house word, base word of everything that is replaced word by word."""
    for section in ("keywords", "operators"):
        for house, text in getattr(spec, section).items():
            yield (section, house), house, text
    for house, text in pagination.words(spec):
        yield ("pagination", "offset" if text == "OFFSET" else "limit"), house, text
    for house, text in set_operators(spec, base):
        yield ("set_operators", _SET_KEYS[text.removesuffix(" DISTINCT")]), house, text


def _words(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    functions = {house.partition("(")[0].strip().upper(): house for house in spec.functions}
    words = list(_all_words(spec, base))
    respelled = {text.upper() for _, house, text in words if house.upper() != text.upper()}
    seen: dict[str, Key] = {}
    quotes = {*spec.identifier_quotes, spec.string_quote}
    for key, house, text in words:
        upper = " ".join(house.upper().split())
        if not house.strip() or not text.strip():
            yield key, "is empty"
            continue
        if other := seen.get(upper):
            yield key, f"{house} already stands for something else in {'.'.join(other)}"
        seen.setdefault(upper, key)
        if upper in functions:
            yield key, f"{house} would hide the function {functions[upper]}"
        if quotes & set(house):
            yield key, f"{house} has a character that quotes"
        yield from _word_shape(key, house)
        if spec.literals.interval == "labelled" and set(upper.split()) & UNITS:
            yield key, f"{house} would be a unit of 5 {house}"
        meaning = base.tokenizer_class.KEYWORDS.get(upper)
        if meaning and upper not in respelled and not _same_meaning(upper, text, base):
            yield key, f"{house} already has a meaning in {spec.base}, which {text} would take from it"
        try:
            base.tokenize(text)
        except SqlglotError:
            yield key, f"{text!r} is not made of words of {spec.base}"


def _word_shape(key: Key, house: str) -> Iterator[Problem]:
    for word in house.split():
        if not word.isidentifier() and any(char.isalnum() or char == "_" for char in word):
            yield key, f"{house!r} mixes letters and symbols"
    if any(symbol in house for symbol in ("--", "/*", "*/", "(", ")", ",", ";", ".")):
        yield key, f"{house!r} has characters that SQL needs itself"


def _same_meaning(house: str, text: str, base: sqlglot.Dialect) -> bool:
    keywords = base.tokenizer_class.KEYWORDS
    kind = keywords.get(house)
    if kind == keywords.get(text.upper()):
        return True
    # A word that may also be a plain name is free to be given a meaning; a reserved one is not.
    return kind in base.parser_class.ID_VAR_TOKENS or kind is TokenType.VAR


def _functions(spec: DialectSpec, compiled: list[Template]) -> Iterator[Problem]:
    seen: list[Template] = []
    for each in compiled:
        for other in seen:
            if each.name.upper() != other.name.upper():
                continue
            small, large = sorted((each, other), key=lambda t: len(t.parameters))
            alike = large.takes(_count(small)) or small.takes(_count(large))
            if alike and not _told_apart(each, other):
                yield ("functions", each.house), f"{other.house} takes as many arguments"
        seen.append(each)


def _count(each: Template) -> int:
    return len(each.parameters) + len(each.words)


def _told_apart(one: Template, other: Template) -> bool:
    """Whether a fixed word stands in one where another word stands in the other."""
    words = dict(other.words)
    return any(words.get(at, word) != word for at, word in one.words)


def _types(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for house, text in spec.types.items():
        key = ("types", house)
        if other := seen.get(house.upper()):
            yield key, f"{other} is the same name"
        seen.setdefault(house.upper(), house)
        if not house.isidentifier():
            yield key, f"{house!r} is not one word"
        try:
            exp.DataType.build(text, dialect=base, udt=False)
        except (SqlglotError, ValueError):
            yield key, f"{text!r} is not a type of {spec.base}"


def _pagination(spec: DialectSpec) -> Iterator[Problem]:
    page = spec.pagination
    if page.style in ("fetch", "top-fetch", "rownum"):
        if page.offset:
            yield ("pagination", "offset"), f"with style {page.style} the rows to skip are written OFFSET n ROWS"
        if page.limit and page.style != "top-fetch":
            yield ("pagination", "limit"), f"style {page.style} has no word for it"
    if spec.syntax == "pipe" and page.style != "limit":
        yield ("pagination", "style"), "pipes have |> LIMIT n, or another word for it"


def _macros(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    tokenizer = house_tokenizer(spec, base)
    words = {house.upper() for _, house, _ in _all_words(spec, base)}
    functions = {house.partition("(")[0].strip().upper() for house in spec.functions}
    seen: dict[tuple[str, ...], str] = {}
    for number, (house, text) in enumerate(spec.macros.items()):
        key = ("macros", house)
        try:
            tokens = tokenizer(dialect=base).tokenize(house)
        except SqlglotError:
            tokens = []
        quoted = any(token.token_type in (TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER) for token in tokens)
        if not tokens or quoted or not any(char.isalpha() for char in house):
            yield key, f"{house!r} is not made of words and symbols"
            continue
        if "(" in house or ")" in house:
            yield key, "a macro takes no arguments: write it in [functions]"
        spelled = tuple(token.text.upper() for token in tokens)
        if other := seen.get(spelled):
            yield key, f"{other} is the same macro"
        seen.setdefault(spelled, house)
        if len(spelled) == 1 and (spelled[0] in words | functions or spelled[0] in base.tokenizer_class.KEYWORDS):
            yield key, f"{house} already has a meaning"
        try:
            macro(house, text, base, number)
        except ValueError as error:
            yield key, str(error)


def _literals(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    tokenizer = house_tokenizer(spec, base)
    for delimiter in sorted(delimiters(spec)):
        if any(str(comment).startswith(delimiter) for comment in base.tokenizer_class._COMMENTS):
            yield ("literals",), f"{delimiter} begins a comment in {spec.base}"
    for kind, text in written(spec):
        try:
            form(kind, text, lambda sql: tokenizer(dialect=base).tokenize(sql))
        except LiteralError as error:
            yield ("literals", kind), str(error)


# Bases in which active = 1 is an error where active is a boolean, so that what is read could not run.
_STRICT = frozenset({"postgres", "materialize", "risingwave", "bigquery", "trino", "presto", "athena"})


def _booleans(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    given = {name: getattr(spec.booleans, name) for name in ("true", "false")}
    if not any(given.values()):
        return
    if spec.base.lower() in _STRICT:
        yield ("booleans",), f"{spec.base} cannot compare a boolean column with {given['true'] or given['false']}"
    values = {}
    for name, text in given.items():
        if text is None:
            yield ("booleans", name), "is given for neither or both"
            continue
        try:
            trees = base.parse(f"SELECT {text}")
            values[name] = trees[0].selects[0] if isinstance(trees[0], exp.Select) else None
        except SqlglotError:
            values[name] = None
        if not isinstance(values[name], exp.Literal):
            yield ("booleans", name), f"{text!r} is no number or string of {spec.base}; for a word use [keywords]"
    if len(values) == 2 and values["true"] == values["false"]:
        yield ("booleans", "false"), "is the same as true"


def _forbidden(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    known = {text.upper() for _, _, text in _all_words(spec, base)}
    houses = {house.upper() for _, house, _ in _all_words(spec, base)}
    for key in spec.forbidden:
        place = ("forbidden", key)
        if key in forbidden.CONSTRUCTS or forbidden.is_function(key):
            continue
        if key == key.lower() and "_" in key:
            yield place, f"is none of {', '.join(forbidden.CONSTRUCTS)}"
        elif (
            not key.strip()
            or any(symbol in key for symbol in "();.")
            or {*spec.identifier_quotes, spec.string_quote} & set(key)
        ):
            yield place, f"{key!r} is not a construct, a function NAME() or a phrase"
        elif key.upper() in known - houses:
            yield place, f"{key} is no word of the dialect as it is"
        elif key.upper() in houses:
            yield place, f"{key} is a word that the dialect has"
