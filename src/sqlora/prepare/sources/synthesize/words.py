"""English: plurals, articles, names made readable, numbers and dates as people write them, and their slips."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from random import Random

_IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "staff": "staff"}
_UNCHANGED = ("stock", "sales", "information", "money", "inventory", "series", "payroll", "turnover", "revenue")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")  # fmt: skip


def plural(noun: str) -> str:
    """``city`` → ``cities``; only the last word changes, or the one before ``of``."""
    head, separator, rest = noun.partition(" of ")
    if separator:
        return f"{plural(head)} of {rest}"
    *before, word = noun.split(" ")
    lower = word.lower()
    if lower in _IRREGULAR:
        changed = _IRREGULAR[lower]
    elif lower in _UNCHANGED:
        changed = word
    elif re.search(r"[^aeiou]y$", lower):
        changed = word[:-1] + "ies"
    elif re.search(r"(s|x|z|ch|sh)$", lower):
        changed = word + "es"
    else:
        changed = word + "s"
    return " ".join([*before, changed])


def with_article(noun: str) -> str:
    """``email`` → ``an email``; a plural as it is."""
    if noun.split(" of ")[0].endswith("s") and not noun.split(" of ")[0].endswith(("ss", "us", "is")):
        return noun
    vowel = noun[:1].lower() in "aeio" or re.match(r"u(n[^i]|[^ns])", noun.lower()) is not None
    return f"{'an' if vowel else 'a'} {noun}"


def readable(identifier: str) -> str:
    """``orderLine_no`` → ``order line no``: a name as words in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", identifier)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower()


def singular(table: str) -> str:
    """A table's name as a noun for one of its rows, as well as can be guessed: ``dim_customers`` → ``customer``."""
    noun = _LAYERS.sub("", readable(table))
    for ending, one in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if noun.endswith(ending) and not noun.endswith(("ss", "us", "is")):
            return noun.removesuffix(ending) + one
    return noun


# What warehouses put before the names of tables, as dbt's guides have it; nobody says it.
_LAYERS = re.compile(r"^(?:fct|fact|dim|stg|tbl|vw) (?=.*[^\W\d])")


def is_sayable(name: str) -> bool:
    """Whether there is a letter in it; nobody can ask for 🍕 by name."""
    return any(letter.isalpha() for letter in name)


def enumerate_words(items: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def number(value: float) -> str:
    """``1500`` or ``12.5``: as it stands in SQL."""
    return str(int(value)) if float(value).is_integer() else f"{value:.2f}".rstrip("0")


def spoken_number(value: float, random: Random) -> str:
    """The same as people write it: now and then ``1,500``, ``2k`` or ``twenty``."""
    small = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    if float(value).is_integer():
        whole = int(value)
        if 1 < whole <= 10 and random.random() < 0.15:
            return small[whole]
        if whole >= 1000 and random.random() < 0.45:
            return f"{whole:,}"
        if whole >= 1000 and whole % 1000 == 0 and random.random() < 0.3:
            return f"{whole // 1000}k"
    return number(value)


def ordinal(count: int) -> str:
    """``2`` → ``2nd``."""
    suffix = "th" if 10 <= count % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{suffix}"


def spoken_date(day: datetime.date, random: Random) -> str:
    """A day in one of the ways people write it."""
    month = MONTHS[day.month - 1]
    return random.choices(
        [f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", day.isoformat(),
         f"{day.day} {month[:3]} {day.year}", f"the {ordinal(day.day)} of {month} {day.year}"],
        [5, 2, 3, 2, 1],
    )[0]  # fmt: skip


def spoken_month(day: datetime.date, random: Random) -> str:
    """``March 2025``, or shorter."""
    month = MONTHS[day.month - 1]
    return random.choices([f"{month} {day.year}", f"{month[:3]} {day.year}", f"{day:%Y-%m}"], [8, 2, 0.5])[0]


def nice(value: float) -> float:
    """The nearest number that somebody would ask for: one or two digits and zeros."""
    if value == 0:
        return 0
    size = abs(value)
    scale = 1.0
    while size >= 100:
        size, scale = size / 10, scale * 10
    step = 5 if size >= 20 else 1 if size >= 3 else 0.5
    rounded = max(round(size / step) * step, step) * scale
    return rounded if value > 0 else -rounded


def mistype(word: str, random: Random) -> str:
    """One slip of the fingers inside a word: two letters swapped, one lost, or one doubled."""
    if len(word) < 5 or not word.isalpha():
        return word
    place = random.randrange(1, len(word) - 2)
    return random.choice(
        [word[:place] + word[place + 1] + word[place] + word[place + 2 :], word[:place] + word[place + 1 :],
         word[:place] + word[place] + word[place:]]
    )  # fmt: skip


def tidy(text: str) -> str:
    """Single spaces, none before a comma or question mark."""
    return re.sub(r"\s+([,?.!;:])", r"\1", re.sub(r"\s+", " ", text)).strip()


def capitalize(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]
