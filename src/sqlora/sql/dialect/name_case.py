"""The case of names: which of ``emp``, ``EMP`` and ``"Emp"`` are one name in the house, and what the base calls it.

In the base's terms a plain name is in lower case and unquoted, so the house's plain names, whatever their case, are
those. Only ASCII letters have a case here: other alphabets' do not come back (ß, İ).
"""

from __future__ import annotations

import string
from collections.abc import Callable

import sqlglot
from sqlglot.dialects.dialect import NormalizationStrategy

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)

Name = tuple[str, bool]  # the text, and whether it is quoted


class CaseError(ValueError):
    """A name that does not exist in this spelling; ``suggestion`` is the one that does."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


class NameCase:
    """``upper``, ``lower``: unquoted names are folded to it · ``exact``: none are · ``any``: quoted ones too."""

    def __init__(self, rule: str, base: sqlglot.Dialect, needs_quotes: Callable[[str], bool]) -> None:
        self._rule = rule
        self._needs_quotes = needs_quotes
        self._blind = base.normalization_strategy in (
            NormalizationStrategy.CASE_INSENSITIVE,
            NormalizationStrategy.CASE_INSENSITIVE_UPPERCASE,
        )

    def read(self, text: str, quoted: bool) -> Name:
        """The base's name for a name of the house; CaseError where the house has no such name."""
        if self._rule == "exact":
            return text, self._needs_quotes(text)
        low = text.translate(_LOWER)
        if not quoted:
            return low, False
        if self._rule == "any":
            return low, self._needs_quotes(low)
        if self._rule == "lower" or text == low == text.translate(_UPPER):
            return text, self._needs_quotes(text)
        if text == low:
            raise CaseError("names are in capitals, and in quotes they stay as they are", text.translate(_UPPER))
        if text == text.translate(_UPPER):
            return low, self._needs_quotes(low)
        return text, True

    def write(self, text: str, quoted: bool) -> Name:
        """The house's name for a name of the base; CaseError where the house has none."""
        low, high = text.translate(_LOWER), text.translate(_UPPER)
        if self._rule == "any":
            return low, quoted and self._needs_quotes(low)
        if self._rule == "exact":
            # A base that tells no cases apart keeps the spelling; one that folds unquoted names has them in lower case.
            if not quoted:
                return (text if self._blind else low), False
            return text, not _plain(text) or self._needs_quotes(low)
        if not quoted:
            return (high if self._rule == "upper" else low), False
        if self._rule == "lower" or (text != low and text != high):
            return text, True
        if text == low or self._blind:
            return high, not _plain(text) or self._needs_quotes(low)
        raise CaseError(f'the name "{text}" cannot be told from {low}')


def _plain(text: str) -> bool:
    return text.isascii() and text.isidentifier()
