"""Texts that should not be taught, nor put into a prompt: secrets, and what points at one person.

Patterns with a check digit where there is one, so that an order number is not taken for a card. They find what is
written in a form of its own; a name or a street is in none, so this is a net for accidents, not a promise. They refuse
examples, so they would rather miss something; `sqlora.sql.personal_values`, which only leaves values out, is stricter.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlora.sql.personal_values import is_personal_name, looks_personal

__all__ = ["Found", "Pattern", "Sort", "find", "first", "is_personal_name", "looks_personal", "masked"]

Sort = Literal["secret", "personal"]


@dataclass(frozen=True)
class Pattern:
    """What one kind of such a text looks like; ``sure`` looks at a match again."""

    sort: Sort
    kind: str
    text: re.Pattern[str]
    sure: Callable[[str], bool]


@dataclass(frozen=True)
class Found:
    """A text of a ``kind`` ("e-mail address") from ``start`` up to ``end``."""

    sort: Sort
    kind: str
    start: int
    end: int


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


def _iban(text: str) -> bool:
    """ISO 13616: the rest of a division by 97 is 1."""
    plain = text.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _public_address(text: str) -> bool:
    try:
        return ipaddress.IPv4Address(text).is_global
    except ValueError:
        return False


def _is_long(text: str) -> bool:
    """E.164 has at most 15 digits; fewer than 8 are an amount or a score."""
    return 8 <= sum(character.isdigit() for character in text) <= 15


def _belongs_to_someone(address: str) -> bool:
    """RFC 2606 keeps these names for examples."""
    domain = address.rpartition("@")[2].lower()
    return not re.search(r"(^|\.)example(\.(com|net|org))?$|\.(test|invalid|localhost)$", domain)


_KEYS = r"(?:password|passwd|passphrase|pwd|secret|api[_ -]?key|access[_ -]?token|auth[_ -]?token)"

# In quotes anything may be one. Without, it has a digit and stands right behind the sign, as in a query string: else
# it may be a column that is compared, or a parameter.
_PASSWORD = (
    rf"\b\w{{0,20}}{_KEYS}\b(?:[\]\"`]?\s*(?:=|:|is)\s*(['\"])(?!\1)[^'\"]{{4,}}\1"
    r"|[=:](?=[^\W\d]*\d|\d+[^\W\d])[A-Za-z0-9][\w!@#$%^&*+-]{4,}(?![\w.(]))"
)
_TOKEN = (
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40}|glpat-[A-Za-z0-9_-]{20}"
    r"|xox[abprs]-[A-Za-z0-9-]{10}|sk-[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{30})[A-Za-z0-9_-]*"
)
_CARD = r"(?<![\w.,-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\d.,]\d|\d)"
_TELEPHONE = (
    r"(?<![\w.+-])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,4}\d{2,4}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}([ .-])\d{3}\1\d{4})(?![\w-])"
)

_EMAIL = r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"


_FOUR = r"\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
_AND = r"\W{1,8}(?:(?:and|or|to|is|in|like)\W{1,8})?"
# A version may have four numbers too; it is matched with its word, which is what `_public_address` knows it by.
_ADDRESS = rf"(?i:version|release|firmware|build)s?(?:(?i:{_AND}){_FOUR})+|(?<![\w.]){_FOUR}"


def _any(_: str) -> bool:
    return True


_FORMS: tuple[tuple[Sort, str, str, Callable[[str], bool]], ...] = (
    ("secret", "AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", _any),
    ("secret", "private key", r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----", _any),
    ("secret", "access token", _TOKEN, _any),
    ("secret", "JSON web token", r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}", _any),
    ("secret", "password in a URL", r"\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@'\"]{1,80}:[^/\s@'\"]{1,80}@", _any),
    ("secret", "password", _PASSWORD, _any),
    ("personal", "e-mail address", _EMAIL, _belongs_to_someone),
    ("personal", "card number", _CARD, _luhn),
    ("personal", "bank account (IBAN)", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _iban),
    ("personal", "social security number", r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", _any),
    ("personal", "telephone number", _TELEPHONE, _is_long),
    ("personal", "IP address", _ADDRESS, _public_address),
)

PATTERNS = tuple(
    Pattern(sort, kind, re.compile(text, re.IGNORECASE if kind == "password" else 0), sure)
    for sort, kind, text, sure in _FORMS
)

# One of these is in every match and in few other texts, so that most are done with after a look for each.
_MARKS = (
    "@", "://", "-----begin", "eyj", "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
    "xox", "sk-", "hf_", "passw", "passphrase", "pwd", "secret", "api", "token",
)  # fmt: skip
_NUMBERS = re.compile(
    r"(?<!\w)\d(?:[ .()-]{0,2}\d){6}|(?<!\w)\d{1,3}\.\d{1,3}\.\d|(?<!\w)\(\d|\b[A-Z]{2}\d{2} ?[A-Z0-9]{4}"
)


def find(text: str) -> Iterator[Found]:
    """All such texts in ``text``, pattern by pattern."""
    if not _NUMBERS.search(text):
        lowered = text.lower()
        if not any(mark in lowered for mark in _MARKS):
            return
    for pattern in PATTERNS:
        for match in pattern.text.finditer(text):
            if pattern.sure(match[0]):
                yield Found(pattern.sort, pattern.kind, match.start(), match.end())


def first(text: str, sort: Sort | None = None) -> Found | None:
    """The first that `find` finds (of one sort), else None."""
    return next((found for found in find(text) if sort in (None, found.sort)), None)


def masked(text: str) -> str:
    """``text`` with each such part replaced by its kind: "mail ‹e-mail address›"."""
    parts: list[str] = []
    done = 0
    for found in sorted(find(text), key=lambda found: (found.start, -found.end)):
        if found.start >= done:
            parts += (text[done : found.start], f"‹{found.kind}›")
        done = max(done, found.end)
    return "".join(parts) + text[done:]
