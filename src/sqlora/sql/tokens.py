"""How many tokens a model sees in a text, about, without its tokenizer."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z]+")
_OTHER = re.compile(r"[^\sA-Za-z]")
LETTERS = 5  # of a word, in one token: names in schemas are often abbreviated, and those fall into pieces


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many than too few: a digit and a sign are one each, a word one for five letters.

    Letters outside of ASCII count as two.
    """
    words = sum((len(word) + LETTERS - 1) // LETTERS for word in _WORD.findall(text))
    return words + sum(1 if sign.isascii() else 2 for sign in _OTHER.findall(text)) + text.count("\n")
