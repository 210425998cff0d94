"""Conditions on one table's rows, each with the words for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.glossary import Phrasing
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, Lexicon, NamedFilter
from sqlora.prepare.sources.synthesize.periods import draw_period


@dataclass(frozen=True)
class Filter:
    """A condition on rows of ``table`` and its wordings (`glossary.Phrasing`), filled in.

    ``about`` are the columns it speaks of: two filters about one column would contradict each other.
    """

    table: str
    condition: exp.Expr
    said: Phrasing
    about: frozenset[str]

    def says(self, *ways: str) -> bool:
        """Whether it can be said in one of these ways."""
        return any(getattr(self.said, way) for way in ways)


def draw_filter(
    lexicon: Lexicon, table: str, random: Random, afar: bool = False, avoid: Iterable[str] = ()
) -> Filter | None:
    """A filter on ``table`` that says nothing about the columns ``avoid``; ``afar`` for another table's rows."""
    avoided = set(avoid)
    choices: list[tuple[NamedFilter | ColumnWords, float]] = []
    for named in lexicon.filters.get(table, ()):
        if not _columns(named.condition) & avoided:
            choices.append((named, named.weight))
    for each in [*lexicon.columns[table].values(), *lexicon.attributes.get(table, ())]:
        if not _columns(each.expression) & avoided:
            choices.append((each, each.weight_afar * _KINDS_AFAR[each.kind] if afar else each.weight * _KINDS[each.kind]))
    choices = [(choice, weight) for choice, weight in choices if weight > 0]
    if not choices:
        return None
    chosen = random.choices([choice for choice, _ in choices], [weight for _, weight in choices])[0]
    if isinstance(chosen, NamedFilter):
        return Filter(table, chosen.condition, chosen.said, frozenset(_columns(chosen.condition)))
    if chosen.kind == "name" and not afar:
        drawn = contains(chosen, random)  # "stores called Leeds Kirkgate" is no question; a part of a name is
    else:
        drawn = _DRAW[chosen.kind](lexicon, chosen, random)
    if drawn is None:
        return None
    condition, said = drawn
    return Filter(table, condition, said, frozenset(_columns(condition)))


# How often a column of each kind is filtered on, from its own table and from afar.
_KINDS = {"category": 3.0, "number": 1.6, "date": 1.5, "flag": 2.0, "text": 0.7, "name": 0.8, "key": 0.0, "hidden": 0.0}
_KINDS_AFAR = {"category": 3.0, "number": 0.4, "date": 0.05, "flag": 1.5, "text": 0.3, "name": 2.2, "key": 0.0, "hidden": 0.0}


def _columns(condition: exp.Expr) -> set[str]:
    return {f"{node.table}.{node.name}" for node in condition.find_all(exp.Column)}


Drawn = tuple[exp.Expr, Phrasing] | None


def fill(phrasing: Phrasing, **places: str) -> Phrasing:
    """The phrasing with ``{v}`` and its likes filled in."""

    def each(templates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(template.format(**places) for template in templates)

    return Phrasing(
        adjective=each(phrasing.adjective), phrase=each(phrasing.phrase), verb=each(phrasing.verb),
        afar=each(phrasing.afar), afar_adjective=each(phrasing.afar_adjective), noun=each(phrasing.noun),
    )  # fmt: skip


def spoken_value(column: ColumnWords, value: object, random: Random) -> str:
    """A stored value as somebody would type it: mostly right, sometimes in lower case, rarely misspelt."""
    said = random.choice(column.words_of(value))
    draw = random.random()
    if draw < 0.12:
        return said.lower()
    if draw < 0.145 and len(said) > 6:
        parts = said.split(" ")
        place = random.randrange(len(parts))
        parts[place] = words.mistype(parts[place], random)
        return " ".join(parts)
    return said


def _default_category(lexicon: Lexicon, column: ColumnWords) -> Phrasing:
    noun = column.nouns[0]
    return Phrasing(phrase=(f"with {noun} {{v}}", f"whose {noun} is {{v}}"), verb=(f"have {noun} {{v}}",))


def _category(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    if column.profile.missing and random.random() < 0.16:
        return _missing(lexicon, column, random)
    values = [value for value in column.profile.values if value != ""]
    said = Phrasing(**{way: getattr(column.said, way) for way in Phrasing.model_fields})
    if not said.phrase and not said.adjective and not said.verb:
        said = _default_category(lexicon, column)
    if len(said.noun) and random.random() < 0.75:
        said = Phrasing(noun=said.noun, afar=said.afar)
    else:
        said = said.model_copy(update={"noun": ()})
    draw = random.random() if not said.noun else 1.0
    if column.profile.missing and 0.09 <= draw < 0.135:
        draw = 1.0  # who has no tier is not in the gold one either, but <> and NOT IN leave NULLs out
    if draw < 0.09 and len(values) > 3:
        chosen = random.sample(values[:30], random.choices([2, 3], [4, 1])[0])
        joined = words.enumerate_words([spoken_value(column, value, random) for value in chosen], "or")
        condition: exp.Expr = exp.In(this=column.expression.copy(), expressions=[_text(value) for value in chosen])
        # "gold or silver customers" reads well only before the noun or as an object.
        return condition, fill(said, v=joined)
    if draw < 0.105 and len(values) > 3:
        chosen = random.sample(values[:30], 2)
        one, two = (spoken_value(column, value, random) for value in chosen)
        condition = exp.Not(this=exp.In(this=column.expression.copy(), expressions=[_text(value) for value in chosen]))
        neither = tuple(f"neither {phrase} nor {two}" for phrase in fill(said, v=one).phrase if phrase.endswith(one))
        noun = column.nouns[0]
        return condition, Phrasing(phrase=neither or (f"whose {noun} is neither {one} nor {two}",),
                                   verb=tuple(f"are {phrase}" for phrase in neither) or (f"have a {noun} other than {one} or {two}",))  # fmt: skip
    if draw < 0.135 and len(values) > 2:
        value = random.choice(values[:30])
        spoken = spoken_value(column, value, random)
        negative = _negative(said, spoken, column)
        return exp.NEQ(this=column.expression.copy(), expression=_text(value)), negative
    weights = [1 / (2 + place) for place in range(len(values))] if len(values) > 12 else None
    value = random.choices(values, weights)[0]
    return exp.EQ(this=column.expression.copy(), expression=_text(value)), fill(said, v=spoken_value(column, value, random))


def _negative(said: Phrasing, value: str, column: ColumnWords) -> Phrasing:
    filled, noun = fill(said, v=value), column.nouns[0]
    if filled.adjective and (column.said.values or not filled.phrase):
        adjective = filled.adjective[0]
        return Phrasing(phrase=(f"that are not {adjective}", f"not {adjective}"), verb=(f"are not {adjective}",))
    phrases = tuple(f"not {phrase}" for phrase in filled.phrase if not phrase.startswith(("with ", "whose ", "that ", "who ")))
    return Phrasing(
        phrase=phrases or (f"whose {noun} is not {value}", f"with a {noun} other than {value}"),
        verb=tuple(f"are {phrase}" for phrase in phrases) or (f"have a {noun} other than {value}",),
    )


def _text(value: object) -> exp.Expr:
    return exp.Literal.string(str(value))


def _missing(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    """NULL or not."""
    is_null = exp.Is(this=column.expression.copy(), expression=exp.Null())
    noun = column.nouns[0]
    if random.random() < 0.65:
        said = column.said.missing
        if said == Phrasing():
            said = Phrasing(phrase=(f"without {words.with_article(noun)}", f"with no {noun}"), verb=(f"have no {noun}",))
        return is_null, said
    said = column.said.present
    if said == Phrasing():
        said = Phrasing(phrase=(f"with {words.with_article(noun)}",), verb=(f"have {words.with_article(noun)}",))
    return exp.Not(this=is_null), said


def _number(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    steps = column.profile.steps
    if column.profile.missing and random.random() < 0.3:
        return _missing(lexicon, column, random)
    if not steps:
        return None
    noun, subject = random.choice(column.nouns), column.expression
    unit = f" {random.choice(column.said.unit)}" if column.said.unit and random.random() < 0.5 else ""
    few = column.profile.whole and column.profile.distinct <= 12
    draw = random.random()
    if (few or column.is_dimension) and (draw < 0.6 or (column.is_dimension and not column.said.above)):
        value = float(random.choice(column.profile.values))
        given_said = Phrasing(**{way: getattr(column.said, way) for way in Phrasing.model_fields})
        if given_said != Phrasing():
            return exp.EQ(this=subject.copy(), expression=_number_literal(value)), fill(given_said, v=words.number(value))
        said = Phrasing(phrase=(f"with {words.with_article(noun)} of {{n}}", f"with {noun} {{n}}"),
                        verb=(f"have {words.with_article(noun)} of {{n}}",))  # fmt: skip
        return exp.EQ(this=subject.copy(), expression=_number_literal(value)), fill(said, n=words.number(value))
    low = float(steps[random.randint(2, 18)])
    value = low if few else words.nice(low)
    if few and value in (float(steps[0]), float(steps[-1])):
        return None
    if draw > 0.85 and not few:
        high = words.nice(max(float(steps[random.randint(10, 20)]), value * 1.5))
        if high <= value:
            return None
        one, two = words.number(value), words.number(high)
        said = Phrasing(
            phrase=(f"with {words.with_article(noun)} between {one} and {two}{unit}", f"with {words.with_article(noun)} from {one} to {two}{unit}"),
            verb=(f"have {words.with_article(noun)} between {one} and {two}{unit}",),
        )
        return exp.Between(this=subject.copy(), low=_number_literal(value), high=_number_literal(high)), said
    unit = unit.removesuffix("s") if value == 1 else unit
    spoken = words.spoken_number(value, random) + unit
    if column.profile.missing and random.random() < 0.15:
        low_or_none = exp.or_(exp.LT(this=subject.copy(), expression=_number_literal(value)), exp.Is(this=subject.copy(), expression=exp.Null()))
        words_for = f"with {words.with_article(noun)} below {spoken} or none at all"
        return exp.Paren(this=low_or_none), Phrasing(phrase=(words_for,), verb=(words_for.replace("with", "have", 1),))
    kind, forms, given = random.choices(
        [
            (exp.GT, ("above", "over", "of more than", "greater than", "higher than"), column.said.above),
            (exp.LT, ("below", "under", "of less than", "lower than"), column.said.below),
            (exp.GTE, ("of at least", "of {} or more"), ()),
            (exp.LTE, ("of at most", "of no more than", "of {} or less"), ()),
        ],
        [4, 3, 1.5, 1],
    )[0]
    form = random.choice(forms)
    amount = form.format(spoken) if "{}" in form else f"{form} {spoken}"
    phrases: tuple[str, ...] = (f"with {words.with_article(noun)} {amount}",)
    verbs: tuple[str, ...] = (f"have {words.with_article(noun)} {amount}",)
    if given and random.random() < 0.65:
        phrases = (random.choice(given).format(n=spoken),)
        verbs = ()
    return kind(this=subject.copy(), expression=_number_literal(value)), Phrasing(phrase=phrases, verb=verbs)


def _number_literal(value: float) -> exp.Expr:
    text = words.number(value)
    return exp.Neg(this=exp.Literal.number(text[1:])) if text.startswith("-") else exp.Literal.number(text)


def _date(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    if column.profile.missing and random.random() < 0.35:
        return _missing(lexicon, column, random)
    happened = column.said.happened or (f"with {words.with_article(column.nouns[0])}",)
    verb = random.choice(happened)
    person = lexicon.tables[column.table].said.person if column.table in lexicon.tables else False
    draw = random.random()
    if (draw < 0.12 and lexicon.is_recent(column)) or draw < 0.08:
        years = random.choice([1, 2, 3, 5, 5, 10])
        role, count, said = ("add_months", -12 * years, f"{years} year{'s' if years > 1 else ''}")
        if random.random() < 0.4:
            days = random.choice([30, 60, 90, 180])
            role, count, said = "add_days", -days, f"{days} days"
        limit = lexicon.functions.shifted(role, count)
        phrase = f"{verb} more than {said} ago"
        condition: exp.Expr = exp.LT(this=column.expression.copy(), expression=limit)
    else:
        period = draw_period(lexicon, column, random)
        head, _, rest = period.phrase.partition(" ")
        phrase, condition = f"{verb} {f'in {rest}' if head in ('for', 'over') else period.phrase}", period.condition
    pronoun = "who" if person else "that"
    if verb.startswith(("with ", "whose ")):
        return condition, Phrasing(phrase=(phrase,), verb=(phrase.replace("with", "have", 1),))
    if _finite(verb):
        return condition, Phrasing(phrase=(f"{pronoun} {phrase}",), verb=(phrase,))
    return condition, Phrasing(phrase=(phrase, f"{pronoun} were {phrase}"), verb=(f"were {phrase}",))


def _finite(verb: str) -> bool:
    """Whether the verb can stand alone: people "joined", shops "were opened"."""
    return verb.split()[0] not in ("hired", "launched", "opened", "introduced", "placed", "counted", "created", "made",
                                   "closed", "shut", "taken", "listed", "issued", "added", "recruited",
                                   "ordered", "employed", "refunded", "returned", "founded")  # fmt: skip


def _flag(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    noun = column.nouns[0].removeprefix("is ").removeprefix("has ")
    said = Phrasing(**{way: getattr(column.said, way) for way in Phrasing.model_fields})
    if said == Phrasing():
        said = Phrasing(adjective=(noun,), phrase=(f"that are {noun}",), verb=(f"are {noun}",))
    if random.random() < 0.8:
        return column.expression.copy(), said
    negative = Phrasing(phrase=(f"that are not {noun}",), verb=(f"are not {noun}",))
    if column.said.missing != Phrasing():
        negative = column.said.missing
    return exp.Not(this=column.expression.copy()), negative


def _text_filter(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    """LIKE, or NULL where there are any."""
    if column.profile.missing and random.random() < 0.75:
        return _missing(lexicon, column, random)
    return contains(column, random)


_QUOTES = "'\""


def contains(column: ColumnWords, random: Random) -> Drawn:
    """``name ILIKE '%tea%'``: a word of one of the values."""
    parts = sorted({part for value in column.profile.values for part in str(value).split() if len(part) > 2 and part.isalpha()})
    if not parts:
        return None
    part = random.choice(parts)
    spoken = random.choices([part, part.lower(), f"'{part}'", f'"{part.lower()}"'], [3, 3, 2, 1])[0]
    noun = "name" if column.kind == "name" else column.nouns[0]
    phrases: tuple[str, ...]
    verbs: tuple[str, ...]
    draw = random.random()
    if draw < 0.7:
        pattern = f"%{spoken.strip(_QUOTES)}%"
        phrases = (f"with {spoken} in the {noun}", f"whose {noun} contains {spoken}", f"with {spoken} in their {noun}")
        verbs = (f"have {spoken} in the {noun}", f"have {spoken} in their {noun}")
        other = random.choice(parts)
        if random.random() < 0.08 and other != part:
            both = exp.or_(*(exp.ILike(this=column.expression.copy(), expression=_text(f"%{each}%")) for each in (part, other)))
            return exp.Paren(this=both), Phrasing(phrase=(f"with {part} or {other} in the {noun}",), verb=(f"have {part} or {other} in the {noun}",))
        if column.kind == "name" and random.random() < 0.35:
            phrases = (f"called {spoken}", f"named {spoken}")
            verbs = (f"are called {spoken}",)
    elif draw < 0.88:
        starts = [str(value).split()[0] for value in column.profile.values if str(value).split()]
        part = random.choice(starts)
        pattern = f"{part}%"
        phrases = (f"whose {noun} starts with {part}", f"with a {noun} beginning with {part}")
        verbs = (f"have a {noun} starting with {part}",)
    else:
        ends = [str(value).split()[-1] for value in column.profile.values if str(value).split()]
        part = random.choice(ends)
        pattern = f"%{part}"
        phrases = (f"whose {noun} ends in {part}", f"with a {noun} ending in {part}")
        verbs = (f"have a {noun} ending in {part}",)
    return exp.ILike(this=column.expression.copy(), expression=_text(pattern)), Phrasing(phrase=phrases, verb=verbs)


def _name(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    """One row by its name, or some by a part of it."""
    if random.random() < 0.07 and (drawn := contains(column, random)):
        return drawn
    value = random.choice(column.profile.values)
    return exp.EQ(this=column.expression.copy(), expression=_text(value)), named(lexicon, column, value, random)


def named(lexicon: Lexicon, column: ColumnWords, value: object, random: Random) -> Phrasing:
    """How a row is called by its name: the name itself, mostly."""
    spoken = spoken_value(column, value, random)
    given = Phrasing(**{way: getattr(column.said, way) for way in Phrasing.model_fields})
    if given != Phrasing():
        return fill(given, v=spoken)
    table = lexicon.tables[column.table]
    link, noun = random.choice(table.links), random.choice(table.nouns)
    return Phrasing(
        phrase=(f"called {spoken}", f"named {spoken}"),
        verb=(f"are called {spoken}",),
        afar=(f"{link} {spoken}", f"{link} {spoken}", f"{link} {noun} {spoken}"),
    )


def _nothing(lexicon: Lexicon, column: ColumnWords, random: Random) -> Drawn:
    return None


_DRAW = {"category": _category, "number": _number, "date": _date, "flag": _flag, "text": _text_filter, "name": _name,
         "key": _nothing, "hidden": _nothing}  # fmt: skip
