"""Sentences: how people put a question around a noun phrase, and how they type it."""

from __future__ import annotations

import re
from random import Random

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.grammar import Grammar
from sqlora.prepare.sources.synthesize.lexicon import is_plural
from sqlora.prepare.sources.synthesize.periods import Period

_COMMANDS = ("show me", "show", "give me", "list", "get", "find", "i need", "display", "tell me", "pull")
_POLITE = ("please show me", "could you show me", "can you give me", "can you show me", "could you give me", "i'd like to see",
           "i would like to see", "can i get", "can i see", "please give me", "could i have", "can i have", "we need",
           "i want to see", "would you send me", "please pull", "hi, can you give me", "can we see")  # fmt: skip


def ask_for(g: Grammar, noun: str, period: Period | None = None, past: bool | None = None, ranked: bool = False) -> str:
    """A question for a figure or a breakdown: ``noun`` is all of it but the time."""
    time = period.phrase if period else ""
    was = (period is not None) if past is None else past
    plural = is_plural(noun)
    verb = ("were" if was else "are") if plural else ("was" if was else "is")
    bare = noun.startswith(("number of", "average", "total", "highest", "lowest", "share", "percentage"))
    the = "the " if bare or g.chance(0.75) else ""
    forms: list[tuple[str, float]] = [
        (f"what {verb} {the}{noun} {time}?", 3.0),
        (f"{g.pick(*_COMMANDS)} {the if g.chance(0.75) else ''}{noun} {time}", 3.2),
        (f"{g.random.choice(_POLITE)} {the}{noun} {time}", 1.6),
        (f"{noun} {time}", 2.8),
    ]
    if period:
        forms += [(f"{time}, what {verb} {the}{noun}?", 0.35), (f"{noun}, {period.bare}", 0.8), (f"{noun} {period.bare}", 0.9),
                  (f"{period.bare}: {noun}", 0.25), (f"{noun} ({period.bare})", 0.15)]  # fmt: skip
        if period.adjective:
            forms += [(f"{period.adjective} {noun}", 1.1), (f"{g.pick(*_COMMANDS)} {period.adjective} {noun}", 0.4)]
    forms += [(f"{noun} {time} please", 0.3), (f"{noun} {time}?", 0.7)]
    if bare and not plural:
        forms.append((f"what's the {noun} {time}?", 0.8))
    return g.weighted(forms, lambda form: form[1])[0]


def ask_how_many(g: Grammar, noun: str, period: Period | None, predicate: str | None = None, done: str = "") -> str:
    """A question for a number of rows; ``done`` is what happened to them at the period ("placed")."""
    time = period.phrase if period else ""
    if predicate:
        return g.weighted(
            [(f"how many {noun} {predicate} {time}?", 4.0), (f"number of {noun} that {predicate} {time}", 0.5),
             (f"tell me how many {noun} {predicate} {time}", 0.5), (f"how many {noun} {predicate} {time}, please?", 0.3)],
            lambda form: form[1],
        )[0]  # fmt: skip
    forms = [
        (f"how many {noun} {'were there' if time else 'are there'} {time}?", 2.0),
        (f"how many {noun} {time}?", 1.6),
        (f"how many {noun} {'did' if time else 'do'} we have {time}?", 1.8 if len(noun.split()) <= 4 else 0.3),
        (f"number of {noun} {time}", 1.3),
        (f"what {'was' if time else 'is'} the number of {noun} {time}?", 0.7),
        (f"count {g.pick('the ', 'all ', '')}{noun} {time}", 0.9),
        (f"count of {noun} {time}", 0.5),
        (f"{g.random.choice(_POLITE[:-4])} the number of {noun} {time}", 0.5),
        (f"{g.pick('no.', 'nr', '#')} of {noun} {time}", 0.3),
        (f"total number of {noun} {time}", 0.5),
        (f"can you tell me how many {noun} we {'had' if time else 'have'} {time}?", 0.5),
    ]
    if done:
        forms.append((f"how many {noun} were {done} {time}?", 2.5 if time else 0.5))
    return g.weighted(forms, lambda form: form[1])[0]


def ask_list(g: Grammar, noun: str, predicate: str | None = None, person: bool = False, singular: bool = False) -> str:
    """A question for names: "which stores are in Leeds?", "list stores in Leeds"."""
    if predicate:
        forms = [(f"which {noun} {predicate}?", 4.0), (f"what {noun} {predicate}?", 0.8 if not person else 0.2),
                 (f"tell me which {noun} {predicate}", 0.5), (f"do you know which {noun} {predicate}?", 0.2),
                 (f"I need to know which {noun} {predicate}", 0.25)]  # fmt: skip
        return g.weighted(forms, lambda form: form[1])[0]
    all_ = "" if noun.startswith(("the ", "all ")) else g.pick("", "all ", "the ")
    forms = [
        (f"{g.pick('list', 'show me', 'show', 'give me', 'name', 'find', 'display')} {all_}{noun}", 3.5),
        (f"{g.pick('list', 'show me', 'give me')} the names of {'all ' if g.chance(0.3) else ''}{noun}", 0.8),
        (f"{g.random.choice(_POLITE)} {all_}{noun}", 1.0),
        (f"which {noun} are there?", 0.9),
        (f"which are the {noun}?", 0.3),
        (f"what are the {noun}?", 0.35),
        (f"which {noun} do we have?", 0.9),
        (f"{noun}", 1.3),
        (f"{g.pick('a list of', 'list of')} {noun}", 0.6),
        (f"I'm looking for {noun}", 0.3),
    ]
    return g.weighted(forms, lambda form: form[1])[0]


# ------------------------------------------------------------------------------------------------------- typing

_ABBREVIATIONS = {
    "average": "avg", "number": "no.", "quantity": "qty", "department": "dept", "customers": "custs", "percentage": "pct",
    "maximum": "max", "minimum": "min", "products": "prods", "employees": "emps", "amount": "amt", "total": "tot",
    "please": "pls", "orders": "ords", "category": "cat", "suppliers": "suppl.", "information": "info", "and": "&",
    "year": "yr", "month": "mth", "revenue": "rev", "between": "btw", "December": "Dec", "January": "Jan",
    "without": "w/o", "with": "w/", "fiscal year": "FY", "promotion": "promo", "promotions": "promos",
}  # fmt: skip


def finish(text: str, random: Random) -> str:
    """The sentence as it gets typed: with or without capitals and punctuation, abbreviated, or with a slip."""
    text = words.tidy(text)
    draw = random.random()
    if draw < 0.07:
        text = _abbreviate(text, random)
    elif draw < 0.105:
        text = _slip(text, random)
    draw = random.random()
    if draw < 0.62:
        text = words.capitalize(text)
        if not text.endswith(("?", ".")) and random.random() < 0.12:
            text += "."
        elif text.endswith("?") and random.random() < 0.1:
            text = text[:-1]
    elif draw < 0.84:
        text = text[:-1] if text.endswith("?") and random.random() < 0.6 else text
    else:
        text = text.lower()
        text = text[:-1] if text.endswith("?") and random.random() < 0.7 else text
    return re.sub(r"\bi('d|'m| )", lambda match: f"I{match[1]}", text) if draw < 0.84 else text


def _abbreviate(text: str, random: Random) -> str:
    found = [word for word in _ABBREVIATIONS if re.search(rf"\b{word}\b", text)]
    if not found:
        return text
    word = "average" if "average" in found and random.random() < 0.7 else random.choice(found)
    return re.sub(rf"\b{word}\b", _ABBREVIATIONS[word], text, count=1)


def _slip(text: str, random: Random) -> str:
    """One mistyped word, never a name or a number: those the query needs as they are."""
    parts = text.split(" ")
    places = [place for place, part in enumerate(parts) if len(part) > 4 and part.isalpha() and part.islower()]
    if places:
        place = random.choice(places)
        parts[place] = words.mistype(parts[place], random)
    return " ".join(parts)
