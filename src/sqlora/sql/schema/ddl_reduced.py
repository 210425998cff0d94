"""A CREATE TABLE statement without what only its vendor knows: storage, tablespaces, index options, identities.

sqlglot reads the SQL of many vendors, but not every clause that their tools put into DDL. What a schema is made of is
written the same everywhere: names, types, NOT NULL, keys, comments. So a statement that sqlglot can't read is cut down
to those and read again. A type that it does not know (MySQL's POINT) is kept apart meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot.tokenizer_core import Token, TokenType

# Words that begin an item of the list which is no column.
TABLE_LEVEL = frozenset(
    """
    CONSTRAINT CHECK EXCLUDE FOREIGN FULLTEXT INDEX KEY LIKE PERIOD PRIMARY PROJECTION SPATIAL SUPPLEMENTAL UNIQUE
    WATERMARK
    """.split()  # noqa: SIM905
)
# Words that end a column's type.
AFTER_TYPE = frozenset(
    """
    ALIAS AS AUTOINCREMENT AUTO_INCREMENT CHECK CODEC COLLATE COMMENT CONSTRAINT DEFAULT DISABLE DISTKEY ENABLE ENCODE
    EPHEMERAL FOREIGN FORMAT GENERATED IDENTITY INVISIBLE MASKED MATERIALIZED NOT NULL OPTIONS ON PRIMARY REFERENCES
    ROWGUIDCOL SORTKEY SPARSE SRID STORAGE TAG TTL UNIQUE VIRTUAL VISIBLE WITH
    """.split()  # noqa: SIM905
)
# Words that begin what a vendor has to say about the whole table. Anything else after the list is a mistake in it.
AFTER_LIST = frozenset(
    """
    AGGREGATE AS AUTO_INCREMENT BACKUP CACHE CHARSET CLUSTER CLUSTERED COMMENT COMPRESS DATA DATA_RETENTION_TIME_IN_DAYS
    DEFAULT DISTKEY DISTRIBUTE DISTRIBUTED DISTSTYLE DUPLICATE ENGINE FILE_FORMAT IN INHERITS INITRANS LOCATION LOCK
    LOGGING MAXTRANS MONITORING NO NOCACHE NOCOMPRESS NOLOGGING NOPARALLEL ON OPTIONS ORDER ORGANIZATION PARALLEL
    PARTITION PCTFREE PCTUSED PRIMARY PROPERTIES ROW ROW_FORMAT SEGMENT SETTINGS SORTKEY SPLIT STORAGE STORED STRICT
    TABLESPACE TBLPROPERTIES TEXTIMAGE_ON TTL UNIQUE USING WITH WITHOUT
    """.split()  # noqa: SIM905
)


# What may follow a view's query: WITH NO DATA, WITH CHECK OPTION, WITH READ ONLY.
AFTER_VIEW = frozenset({"DATA", "NO", "CHECK", "LOCAL", "CASCADED", "READ"})


@dataclass
class Reduced:
    """A statement's ``text``, and the types by column for which STAND_IN stands in it."""

    text: str
    types: dict[str, str] = field(default_factory=dict)


STAND_IN = "INT"
NAMED_TYPE = re.compile(r"[A-Za-z_][\w.]*(?: \( \d+(?: , \d+)* \))?")  # more words are likely a mistake


def reduced(tokens: Sequence[Token], text: str, is_type: Callable[[str], bool]) -> Reduced | None:
    """The statement cut down to columns, keys and comments; None where it has no list of columns, or is broken."""
    opening = next((place for place, token in enumerate(tokens) if token.token_type is TokenType.L_PAREN), None)
    table = next((place for place, token in enumerate(tokens) if token.text.upper() == "TABLE"), None)
    if opening is None or table is None or table > opening:
        return None
    end = _end(tokens, opening)
    if end == len(tokens) or (end + 1 < len(tokens) and _first(tokens[end + 1]) not in AFTER_LIST):
        return None
    name = _written(tokens[table + 1 : opening], text)
    types: dict[str, str] = {}
    items = [part for item in _items(tokens[opening + 1 : end]) if (part := _item(item, text, is_type, types))]
    return Reduced(f"CREATE TABLE {name} (\n" + ",\n".join(items) + "\n)", types) if items else None


def reduced_view(tokens: Sequence[Token], text: str) -> Reduced | None:
    """A view cut down to its name, the names of its columns and its query; None where it has no query."""
    words = [token.text.upper() if _is_word(token) else "" for token in tokens]
    if "VIEW" not in words or "AS" not in words:
        return None
    start, query = words.index("VIEW") + 1, words.index("AS") + 1
    if words[start : start + 3] == ["IF", "NOT", "EXISTS"]:
        start += 3
    names = start + 1
    while names + 1 < query and tokens[names].token_type is TokenType.DOT:
        names += 2
    if tokens[names].token_type is TokenType.L_PAREN:
        names = _end(tokens, names) + 1
    lasts = (place for place in range(query + 1, len(words) - 1) if words[place] == "WITH")
    end = next((place for place in lasts if words[place + 1] in AFTER_VIEW), len(tokens))
    return Reduced(f"CREATE VIEW {_written(tokens[start:names], text)} AS {_written(tokens[query:end], text)}")


def _items(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The list's items, which commas outside of parentheses part. The comma is its end, with the remark behind it."""
    item: list[Token] = []
    depth = 0
    for token in tokens:
        depth += token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.LT)
        depth -= token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.GT)
        if token.token_type is TokenType.COMMA and depth == 0:
            yield [*item, token]
            item = []
        else:
            item.append(token)
    yield item


def _item(tokens: list[Token], text: str, is_type: Callable[[str], bool], types: dict[str, str]) -> str:
    comments = [" ".join(comment.split()).replace("*/", "") for token in tokens for comment in token.comments]
    if tokens and tokens[-1].token_type is TokenType.COMMA:
        tokens = tokens[:-1]
    if not tokens:
        return ""
    if _is_word(tokens[0]) and tokens[0].text.upper().partition(" ")[0] in TABLE_LEVEL:
        return _key(tokens, text)
    ends = (place for place, token in enumerate(tokens) if place and _is_word(token) and _first(token) in AFTER_TYPE)
    end = next(ends, len(tokens))
    type_ = " ".join(
        token.text if token.token_type is TokenType.IDENTIFIER else _written([token], text) for token in tokens[1:end]
    )
    if NAMED_TYPE.fullmatch(type_) and not is_type(type_):
        types[tokens[0].text] = _written(tokens[1:end], text)
        type_ = STAND_IN
    parts = [_written(tokens[:1], text), type_, *_properties(tokens[end:], text)]
    return " ".join(filter(None, parts)) + (f" /* {' '.join(comments)} */" if comments else "")


def _properties(tokens: Sequence[Token], text: str) -> Iterator[str]:
    for place, token in enumerate(tokens):
        word = _first(token) if _is_word(token) else ""
        following = tokens[place + 1 : place + 2]
        if word == "NOT" and following and following[0].text.upper() == "NULL":
            yield "NOT NULL"
        elif word == "PRIMARY":
            yield "PRIMARY KEY"
        elif word == "REFERENCES":
            yield _reference(tokens[place:], text)
        elif word == "COMMENT" and following and following[0].token_type is TokenType.STRING:
            yield f"COMMENT {_written(following, text)}"


def _key(tokens: Sequence[Token], text: str) -> str:
    """PRIMARY KEY (a, b), FOREIGN KEY (a) REFERENCES t (b); '' for other constraints."""
    for place, token in enumerate(tokens):
        word = _first(token) if _is_word(token) else ""
        if word in ("PRIMARY", "FOREIGN"):
            names, rest = _names(tokens[place:], text)
            if word == "PRIMARY":
                return f"PRIMARY KEY ({names})" if names else ""
            start = next((number for number, each in enumerate(rest) if each.text.upper() == "REFERENCES"), None)
            return f"FOREIGN KEY ({names}) {_reference(rest[start:], text)}" if names and start is not None else ""
    return ""


def _reference(tokens: Sequence[Token], text: str) -> str:
    """REFERENCES t (a); of the table's name, the words and dots that follow."""
    end = 1
    while end < len(tokens) and (
        end == 1 or tokens[end].token_type is TokenType.DOT or tokens[end - 1].token_type is TokenType.DOT
    ):
        end += 1
    table = _written(tokens[1:end], text)
    follows = end < len(tokens) and tokens[end].token_type is TokenType.L_PAREN
    names = _names(tokens[end:], text)[0] if follows else ""
    return f"REFERENCES {table}" + (f" ({names})" if names else "")


def _names(tokens: Sequence[Token], text: str) -> tuple[str, Sequence[Token]]:
    """The names in the first parentheses, without ASC and lengths, and what comes after."""
    opening = next((place for place, token in enumerate(tokens) if token.token_type is TokenType.L_PAREN), None)
    if opening is None:
        return "", ()
    end = _end(tokens, opening)
    names = [_written(item[:1], text) for item in _items(tokens[opening + 1 : end]) if item]
    return ", ".join(names), tokens[end + 1 :]


def _end(tokens: Sequence[Token], opening: int) -> int:
    """The place of the parenthesis that closes."""
    depth = 0
    for place in range(opening, len(tokens)):
        depth += tokens[place].token_type is TokenType.L_PAREN
        depth -= tokens[place].token_type is TokenType.R_PAREN
        if depth == 0:
            return place
    return len(tokens)


def _is_word(token: Token) -> bool:
    return token.token_type not in (TokenType.IDENTIFIER, TokenType.STRING)


def _first(token: Token) -> str:
    """PRIMARY KEY is one token."""
    return token.text.upper().partition(" ")[0]


def _written(tokens: Sequence[Token], text: str) -> str:
    return text[tokens[0].start : tokens[-1].end + 1] if tokens else ""
