"""The surface of a house dialect: its quotes, keywords and operators, as tokens.

Reading turns house text into the base dialect's tokens, so that the base's own parser does the rest and
positions stay those of the house text. Writing splices house words into the text that the base's own generator
made. Neither touches what is inside strings and quoted identifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot.generators.duckdb import DuckDBGenerator
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from sqlora.sql.dialect import forbidden, pagination
from sqlora.sql.dialect.casts import foreign_cast
from sqlora.sql.dialect.intervals import labelled
from sqlora.sql.dialect.literals import LiteralError, Literals, delimiters
from sqlora.sql.dialect.set_operators import set_operators
from sqlora.sql.dialect.spec import DialectSpec
from sqlora.sql.dialect.template import MARK

_QUOTED = frozenset(
    {
        TokenType.STRING,
        TokenType.IDENTIFIER,
        TokenType.NUMBER,
        TokenType.BIT_STRING,
        TokenType.HEX_STRING,
        TokenType.BYTE_STRING,
        TokenType.NATIONAL_STRING,
        TokenType.NATIONAL_RAW_STRING,
        TokenType.RAW_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.UNICODE_STRING,
    }
)
_TEXTS = _QUOTED - {TokenType.IDENTIFIER, TokenType.NUMBER}
# sqlglot lists reserved words for some dialects only; DuckDB's, which are PostgreSQL's, serve for the others.
_RESERVED = frozenset(DuckDBGenerator.RESERVED_KEYWORDS)


class WordError(ValueError):
    """A word that the dialect does not have, at ``offset`` in the text."""

    def __init__(self, message: str, token: Token | None, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.offset = token.start if token else -1
        self.length = token.end - token.start + 1 if token else 0
        self.suggestion = suggestion


@dataclass(frozen=True)
class _Phrase:
    words: tuple[str, ...]  # upper case
    text: str  # what to write instead
    tokens: tuple[Token, ...] = ()  # what to read instead


class _Phrases:
    """Phrases by their first word, longest first."""

    def __init__(self, phrases: Iterable[_Phrase]) -> None:
        self._by_first: dict[str, list[_Phrase]] = {}
        for phrase in phrases:
            candidates = self._by_first.setdefault(phrase.words[0], [])
            if all(known.words != phrase.words for known in candidates):  # the first of two synonyms counts
                candidates.append(phrase)
        for candidates in self._by_first.values():
            candidates.sort(key=lambda phrase: -len(phrase.words))

    def __contains__(self, word: str) -> bool:
        return word in self._by_first

    def match(self, tokens: list[Token], index: int) -> tuple[_Phrase, int] | None:
        """The phrase that begins at ``index`` and the index after it."""
        word = tokens[index].text.upper()
        candidates = self._by_first.get(word) or self._by_first.get(word.partition(" ")[0])
        for phrase in candidates or ():
            after = index
            left = phrase.words
            while left and after < len(tokens) and tokens[after].token_type not in _QUOTED:
                part = tuple(tokens[after].text.upper().split())  # GROUP BY is one token
                if left[: len(part)] != part:
                    break
                left, after = left[len(part) :], after + 1
            if not left:
                return phrase, after
        return None


class Words:
    """The words of one house dialect over ``base``; see the module's docstring."""

    def __init__(self, spec: DialectSpec, base: sqlglot.Dialect) -> None:
        self._spec = spec
        self._base = base
        self._renamed = spec.string_quote != base.QUOTE_START
        self._tokenizer = house_tokenizer(spec, base)
        self._literals = Literals(spec, base, self.tokens)
        pairs = [*spec.keywords.items(), *spec.operators.items(), *pagination.words(spec), *set_operators(spec, base)]
        house = [_Phrase(_words(h), b, tuple(base_tokens(b, base))) for h, b in pairs]
        self._macros = {f"{MARK}M{number}{MARK}": text for number, text in enumerate(spec.macros)}
        macros = [_Phrase(self._macro_words(text), mark, _macro_call(mark)) for mark, text in self._macros.items()]
        named = {word for phrase in house for word in phrase.words}
        house += [_nulls(word, base) for word in ("FIRST", "LAST") if word in named]
        self._to_base = _Phrases([*house, *macros])
        words = {phrase.words for phrase in house}
        unhoused = [_Phrase(_words(b), h) for h, b in pairs if _words(b) not in words]
        nulls = [_Phrase(phrase.words, phrase.text) for phrase in house if phrase.words[0] == "NULLS"]
        self._to_house = _Phrases([*(_Phrase(_words(b), h) for h, b in pairs), *nulls])
        if instead := pagination.instead_of_limit(spec.pagination):
            unhoused.append(_Phrase(("LIMIT",), instead))
        self._banned = _Phrases(unhoused)
        unknown = [*forbidden.words(spec.forbidden), *_absent(spec)]
        self._forbidden = _Phrases(_Phrase(_words(h), hint) for h, hint in unknown)
        # Another spelling of a renamed operator is as foreign: != where <> is ~=.
        self._banned_types = {
            tokens[0].token_type: h
            for h, b in spec.operators.items()
            if len(tokens := base_tokens(b, base)) == 1 and tokens[0].token_type is not TokenType.VAR
        }
        self._functions: Mapping[str, str] = {}
        self._foreign_functions: Mapping[str, str] = {}

    def set_functions(self, names: Mapping[str, str], renamed: Mapping[str, str]) -> None:
        """House function names (upper case → as written), and base functions the house calls otherwise."""
        self._functions = names
        self._foreign_functions = renamed

    @property
    def literals(self) -> Literals:
        """The date and time literals."""
        return self._literals

    def _macro_words(self, text: str) -> tuple[str, ...]:
        return tuple(token.text.upper() for token in self.tokens(text))

    def taken(self, name: str, called: bool = False) -> bool:
        """Whether the house or what it renames has a word of this name; ``called``: before a parenthesis."""
        upper = name.upper()
        function = called and (upper in self._functions or upper in self._foreign_functions)
        return function or upper.startswith(MARK) or upper in self._to_base or upper in self._to_house

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def tokens(self, sql: str) -> list[Token]:
        """The tokens of house text as they stand."""
        return self._tokenizer(dialect=self._base).tokenize(sql)  # one each: they are not thread-safe

    def read(self, sql: str) -> list[Token]:
        """House text → the base's tokens; WordError at a word that is not the house's."""
        tokens = self.tokens(sql)
        read: list[Token] = []
        index = 0
        while index < len(tokens):
            token = tokens[index]
            if literal := self._literal(tokens, index, sql):
                call, index = literal
                read.extend(call)
                continue
            if token.token_type in _QUOTED:
                if not self._is_command_text(tokens, index):
                    self._check_quotes(token, sql)
            elif not (index and tokens[index - 1].token_type is TokenType.DOT):
                if found := self._to_base.match(tokens, index):
                    phrase, after = found
                    read.extend(_moved(phrase.tokens, token, tokens[after - 1]))
                    index = after
                    continue
                self._check_word(tokens, index)
                if index + 1 < len(tokens) and tokens[index + 1].token_type is TokenType.L_PAREN:
                    token = self._function(token)
            read.append(token)
            index += 1
        return read

    def _literal(self, tokens: list[Token], index: int, sql: str) -> tuple[list[Token], int] | None:
        """The base's tokens for the date, time or interval that begins at ``index``, and the index after it."""
        try:
            found = self._literals.match(tokens, index, sql) if self._literals else None
        except LiteralError as error:
            message, token = error.args
            raise WordError(str(message), token) from error
        if found is None and self._spec.literals.interval == "labelled":
            interval = labelled(tokens, index, pagination.top_word(self._spec.pagination).upper())
            return (interval, index + 2) if interval else None
        return found

    def _is_command_text(self, tokens: list[Token], index: int) -> bool:
        """What follows EXPLAIN and the like is one string to sqlglot, without quotes."""
        kinds = [token.token_type for token in tokens[max(index - 2, 0) : index]]
        starts = len(kinds) == 1 or (bool(kinds) and kinds[0] in self._tokenizer.COMMAND_PREFIX_TOKENS)
        return starts and kinds[-1] in self._tokenizer.COMMANDS

    def _check_quotes(self, token: Token, sql: str) -> None:
        start = sql[token.start]
        if token.token_type in _TEXTS and not sql.startswith(self._spec.string_quote, token.start):
            q = self._spec.string_quote
            raise WordError(f"a string is written in {q}", token, f"write {q}{token.text}{q}")
        opening, closing = self._spec.identifier_quotes
        if token.token_type is TokenType.IDENTIFIER and start != opening:
            raise WordError(
                f"a name is quoted as {opening}name{closing}", token, f"write {opening}{token.text}{closing}"
            )

    def _check_word(self, tokens: list[Token], index: int) -> None:
        token = tokens[index]
        if token.token_type is TokenType.UNKNOWN or token.text.startswith(MARK):
            raise WordError(f"{token.text} has no meaning", token)
        if allowed := self._forbidden.match(tokens, index):
            words = " ".join(allowed[0].words)
            raise WordError(f"{words} is not allowed", token, allowed[0].text or None)
        house = foreign_cast(self._spec.casts.style, tokens, index)
        following = tokens[index + 1].token_type if index + 1 < len(tokens) else None
        if found := self._banned.match(tokens, index):
            house = found[0].text
        elif self._spec.literals.interval == "labelled" and token.token_type is TokenType.INTERVAL:
            house = "5 DAYS" if following in (TokenType.STRING, TokenType.NUMBER) else None
        elif following is TokenType.STRING and self._literals:
            house = self._literals.expected(token.text) or house
        elif token.token_type in self._banned_types and not token.text[:1].isalpha():
            house = self._banned_types[token.token_type]
        if house:
            raise WordError(f"{token.text.upper()} is written {house}", token, f"write {house}")

    def _function(self, token: Token) -> Token:
        name = token.text.upper()
        if name in self._functions:
            return Token(TokenType.VAR, f"{MARK}{name}", token.line, token.col, token.start, token.end, token.comments)
        if house := self._foreign_functions.get(name):
            raise WordError(f"{name} is written {house}", token, f"write {house}")
        return token

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def write(self, text: str) -> str:
        """The base generator's text → house text; WordError where the house has no way to say it."""
        tokens = self._base.tokenize(text)
        parts: list[str] = []
        done = 0
        index = 0
        while index < len(tokens):
            token = tokens[index]
            house, after = self._house(tokens, index, text)
            if house is not None:
                parts += (text[done : token.start], house)
                done = tokens[after - 1].end + 1
            index = after
        return "".join(parts) + text[done:]

    def _house(self, tokens: list[Token], index: int, text: str) -> tuple[str | None, int]:
        """What to write for the token at ``index`` (None: as it is) and the index after it."""
        token = tokens[index]
        if token.token_type in _QUOTED:
            return self._quoted(token, text), index + 1
        if token.text.startswith(MARK):
            return self._call(tokens, index)
        if token.text == self._spec.identifier_quotes[0]:  # a[1] would be a called "1"
            raise WordError(f"there is no way to write {token.text}, which opens a name", None)
        if index and tokens[index - 1].token_type is TokenType.DOT:
            return None, index + 1
        if found := self._to_house.match(tokens, index):
            return found[0].text, found[1]
        name = token.text.upper()
        called = index + 1 < len(tokens) and tokens[index + 1].token_type is TokenType.L_PAREN
        taken = called and (name in self._functions or name in self._foreign_functions)
        if taken or self._to_base.match(tokens, index):
            raise WordError(f"there is no way to write {name}{'(…)' if called else ''}", None)
        return None, index + 1

    def _call(self, tokens: list[Token], index: int) -> tuple[str, int]:
        """The house's text for a marked name, or for the whole call that is a macro or a literal."""
        name = tokens[index].text
        if name in self._macros:
            return self._macros[name], index + 3
        if name.endswith(MARK):
            return self._literals.text(name, tokens[index + 2].text) or "", index + 4
        return self._functions[name[len(MARK) :].upper()], index + 1

    def _quoted(self, token: Token, text: str) -> str | None:
        if token.token_type is TokenType.IDENTIFIER:
            opening, closing = self._spec.identifier_quotes
            return f"{opening}{token.text.replace(closing, closing * 2)}{closing}"
        if token.token_type is TokenType.NUMBER or not self._renamed:
            return None
        if token.token_type is not TokenType.STRING or text[token.start] != self._base.QUOTE_START:
            raise WordError(f"there is no way to write the string {text[token.start : token.end + 1]}", None)
        content, quote = token.text, self._spec.string_quote
        if "\\" in self._tokenizer.STRING_ESCAPES:
            content = content.replace("\\", "\\\\")
        return f"{quote}{content.replace(quote, quote * 2)}{quote}"


def house_tokenizer(spec: DialectSpec, base: sqlglot.Dialect) -> type[Tokenizer]:
    """The base's tokenizer with the house's quotes and operators.

    The base's own quotes still delimit, where the house gives them no other meaning, so that a foreign string is
    seen as one and named in the error.
    """
    parent = base.tokenizer_class
    opening, closing = spec.identifier_quotes
    quote = spec.string_quote
    own_literals = delimiters(spec)
    taken = {opening, quote, *own_literals}
    quotes = [quote, *own_literals, *(q for q in parent.QUOTES if _start(q) not in taken)]
    identifiers = [(opening, closing), *(i for i in parent.IDENTIFIERS if _start(i) not in taken)]
    own = {_start(q) for q in parent.QUOTES}
    operators = {op.upper(): TokenType.VAR for op in spec.operators if not op[0].isalpha()}
    multiple = {op: kind for op, kind in operators.items() if len(op) > 1}
    single = {op: kind for op, kind in operators.items() if len(op) == 1}
    breaks = {char: TokenType.UNKNOWN for text in (*operators, *own_literals, opening, closing, quote) for char in text}
    return type(
        "HouseTokenizer",
        (parent,),
        {
            "QUOTES": quotes,
            "IDENTIFIERS": identifiers,
            "STRING_ESCAPES": [quote, *(e for e in parent.STRING_ESCAPES if e not in own and e != quote)],
            "BYTE_STRING_ESCAPES": parent.BYTE_STRING_ESCAPES,
            "KEYWORDS": {**parent.KEYWORDS, **multiple},
            "SINGLE_TOKENS": {**breaks, **parent.SINGLE_TOKENS, **single},
        },
    )


def base_tokens(text: str, base: sqlglot.Dialect) -> list[Token]:
    """The base's tokens of a word or phrase; TOP is a token even where the base has no such word."""
    if text.upper() == "TOP":
        return [Token(TokenType.TOP, "TOP")]
    return base.tokenize(text)


@lru_cache(maxsize=4096)
def needs_quotes(name: str, base: type[sqlglot.Dialect]) -> bool:
    """Whether the base's parser would not read ``name`` back as a plain identifier; cautious."""
    if not name.isascii() or not name.isidentifier() or name != name.lower():
        return True
    if name in _RESERVED or name in base.generator_class.RESERVED_KEYWORDS:
        return True
    parser = base.parser_class
    kind = parent_kind(name, base)
    plain = kind is TokenType.VAR or (
        kind in parser.ID_VAR_TOKENS
        and kind in parser.TABLE_ALIAS_TOKENS
        and kind not in parser.TYPE_TOKENS
        and kind not in parser.NO_PAREN_FUNCTIONS
    )
    return not plain or name.upper() in parser.NO_PAREN_FUNCTION_PARSERS


def parent_kind(name: str, base: type[sqlglot.Dialect]) -> TokenType:
    """What kind of token the base's tokenizer makes of one word."""
    return base.tokenizer_class.KEYWORDS.get(name.upper(), TokenType.VAR)


def _absent(spec: DialectSpec) -> Iterator[tuple[str, str]]:
    """Words that the dialect has none for, and what to write instead."""
    if not spec.ordering.explicit:
        yield from (("NULLS FIRST", "sort by CASE … END before it"), ("NULLS LAST", "sort by CASE … END before it"))
    if spec.booleans.true:
        true, false = spec.booleans.true, spec.booleans.false
        yield from (("TRUE", f"write {true} = {true}, or {true} as a value"),)
        yield from (("FALSE", f"write {true} = {false}, or {false} as a value"),)


def _nulls(word: str, base: sqlglot.Dialect) -> _Phrase:
    """NULLS FIRST as it is, in a dialect where FIRST alone is a word for something else."""
    return _Phrase(("NULLS", word), f"NULLS {word}", tuple(base_tokens(f"NULLS {word}", base)))


def _macro_call(mark: str) -> tuple[Token, ...]:
    return (Token(TokenType.VAR, mark), Token(TokenType.L_PAREN, "("), Token(TokenType.R_PAREN, ")"))


def _words(phrase: str) -> tuple[str, ...]:
    return tuple(phrase.upper().split())


def _moved(tokens: tuple[Token, ...], first: Token, last: Token) -> list[Token]:
    """Copies of ``tokens`` placed where the house phrase stands in the text."""
    return [
        Token(t.token_type, t.text, first.line, last.col, first.start, last.end, first.comments if not i else [])
        for i, t in enumerate(tokens)
    ]


def _start(quotes: str | tuple[str, str]) -> str:
    return quotes if isinstance(quotes, str) else quotes[0]
