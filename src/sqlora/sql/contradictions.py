"""What is wrong with a dialect spec, all at once.

Each problem is (key, reason), the key as in the file: ``("functions", "TOTAL(x)")``.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from sqlora.sql.spec import DialectSpec, Key
from sqlora.sql.template import Template, template

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
    compiled = _compile(spec, base, problems)
    problems += _words(spec, base)
    problems += _functions(spec, compiled)
    problems += _types(spec, base)
    return problems


def _quoting(spec: DialectSpec) -> Iterator[Problem]:
    opening, closing = spec.identifier_quotes
    quote = spec.string_quote
    for key, text in (("identifiers", opening), ("identifiers", closing), ("strings", quote)):
        if len(text) != 1 or text.isalnum() or text.isspace() or text in "_.,;()*":
            yield ("quoting", key), f"{text!r} is not one character that can quote"
    if quote in (opening, closing):
        yield ("quoting", "strings"), f"{quote} quotes both strings and identifiers"


def _compile(spec: DialectSpec, base: sqlglot.Dialect, problems: list[Problem]) -> list[Template]:
    compiled = []
    for house, text in spec.functions.items():
        try:
            compiled.append(template(house, text, base))
        except ValueError as error:
            problems.append((("functions", house), str(error)))
    return compiled


def _all_words(spec: DialectSpec) -> Iterator[tuple[Key, str, str]]:
    """Key, house word, base word of everything that is replaced word by word."""
    for section in ("keywords", "operators"):
        for house, text in getattr(spec, section).items():
            yield (section, house), house, text
    page = spec.pagination
    if page.limit:
        yield ("pagination", "limit"), page.limit, "TOP" if page.style == "top" else "LIMIT"
    if page.offset:
        yield ("pagination", "offset"), page.offset, "OFFSET"


def _words(spec: DialectSpec, base: sqlglot.Dialect) -> Iterator[Problem]:
    functions = {house.partition("(")[0].strip().upper(): house for house in spec.functions}
    words = list(_all_words(spec))
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
            if large.takes(len(small.parameters)) or small.takes(len(large.parameters)):
                yield ("functions", each.house), f"{other.house} takes as many arguments"
        seen.append(each)


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
