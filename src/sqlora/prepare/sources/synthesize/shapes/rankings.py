"""Rankings: the top n, the one at the top, and the same over rows instead of figures."""

from __future__ import annotations

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.frames import _COMMANDS, _POLITE
from sqlora.prepare.sources.synthesize.grammar import Dimension, Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, Measure
from sqlora.prepare.sources.synthesize.query import Select
from sqlora.prepare.sources.synthesize.shapes.figures import population, rounded, tables_of

_COUNTS = ([2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25], [0.6, 4, 0.7, 6, 0.4, 0.5, 0.5, 6, 0.4, 0.9, 1.5, 0.3])


def _count(g: Grammar, size: int) -> int:
    """How many are asked for: fewer than there are."""
    fewer = [(count, weight) for count, weight in zip(*_COUNTS, strict=True) if count < size] or [(2, 1.0)]
    return g.weighted(fewer, lambda each: each[1])[0]


def _size(g: Grammar, dimension: Dimension) -> int:
    if dimension.table:
        return g.lexicon.tables[dimension.table].size
    first = dimension.shown[0]
    return g.lexicon.columns[first.table][first.name].profile.distinct if isinstance(first, exp.Column) else 30


def spoken_count(g: Grammar, count: int) -> str:
    """``5`` or ``five``."""
    small = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return small[count - 2] if 2 <= count <= 10 and g.chance(0.22) else str(count)


def _most(measure: Measure, high: bool, noun: str) -> tuple[str, ...]:
    if measure.kind == "count" and not noun.startswith(("number", "total")):
        return ("the most", "most") if high else ("the fewest", "the least")
    if measure.kind == "amount":
        return ("the highest", "the most", "the largest", "the biggest") if high else ("the lowest", "the least", "the smallest")
    return ("the highest", "the best", "the highest") if high else ("the lowest",)


def _draw(g: Grammar) -> tuple[Measure, Dimension, Select, str, str] | None:
    """A measure over a dimension with filters and period: (…, its query without order, figure, time)."""
    measure = g.measure(lambda each: each.ranks and (each.kind != "ratio" or g.chance(0.6)))
    if measure is None:
        return None
    dimension = g.dimension(measure, entities_only=g.chance(0.72))
    if dimension is None:
        return None
    period = g.period(measure.date, 0.0 if dimension.time else 0.5)
    filters = g.filters_for(measure, g.random.choices([0, 1, 2], [6, 4, 0.5])[0], period, [dimension])
    if not g.fits(measure, tables_of(filters, dimension)):
        return None
    noun = g.figure(measure, filters)
    if noun.startswith("total ") and g.chance(0.6):
        noun = noun.removeprefix("total ")
    where = (*population(g, measure, filters, period), *_known(g, dimension))
    query = Select(measure.root, dimension.shown, where, dimension.shown)
    return measure, dimension, query, noun, period.phrase if period else ""


def _known(g: Grammar, dimension: Dimension) -> list[exp.Expr]:
    """The most frequent reason is not a missing one."""
    found: list[exp.Expr] = []
    for each in dimension.shown:
        if isinstance(each, exp.Column) and g.lexicon.columns[each.table][each.name].profile.missing:
            found.append(exp.Not(this=exp.Is(this=each.copy(), expression=exp.Null())))
    return found


def top(g: Grammar) -> Draft | None:
    """Top 5 products by revenue in FY2026: name and measure."""
    drawn = _draw(g)
    if drawn is None:
        return None
    measure, dimension, query, noun, time = drawn
    high = g.chance(0.78)
    count = _count(g, _size(g, dimension))
    n, plural = spoken_count(g, count), words.plural(g.pick(*dimension.nouns))
    value, noun = rounded(g, measure, noun, 0.03)
    most = g.random.choice(_most(measure, high, noun))
    what = g.weighted(
        [
            (f"{'top' if high else 'bottom'} {n} {plural} by {noun} {time}", 5.0),
            (f"{n} {plural} with {most} {noun} {time}", 3.5),
            (f"{n} {'best' if high else 'worst'} {plural} by {noun} {time}", 1.0),
            (f"{'top' if high else 'bottom'} {n} {plural} in terms of {noun} {time}", 0.6),
            (f"{'top' if high else 'bottom'} {n} {plural} for {noun} {time}" if measure.kind == "amount" else "", 0.4),
            (f"{n} {'leading' if high else 'weakest'} {plural} by {noun} {time}" if measure.kind == "amount" else "", 0.5),
        ],
        lambda form: form[1] if form[0] else 0.0,
    )[0]  # fmt: skip
    the = "the " if g.chance(0.6) else ""
    question = g.weighted(
        [(f"{g.pick(*_COMMANDS)} {the}{what}", 3.0), (what, 3.5), (f"what are the {what}?", 2.0),
         (f"which are the {what}?", 0.8), (f"{g.random.choice(_POLITE)} the {what}", 1.2),
         (f"which {n} {plural} {'had' if time else 'have'} {most} {noun} {time}?", 2.0),
         (f"rank the {what}" if what.startswith(("top", "bottom")) else what, 0.4)],
        lambda form: form[1],
    )[0]  # fmt: skip
    offset = None
    if g.chance(0.05):
        offset = g.random.choice([3, 5, 5, 10, 10, 20])
        question = g.pick(
            f"{plural} ranked {offset + 1} to {offset + count} by {noun} {time}", f"{plural} on places {offset + 1} to {offset + count} by {noun} {time}",
            f"skip the {'top' if high else 'bottom'} {offset} {plural} by {noun} {time} and show the next {n}",
        )  # fmt: skip
        high = high or question.startswith(plural)
    ranked = Select(query.root, (*query.show, value), query.where, query.group, order=((measure.value, high),), limit=count, offset=offset)
    return Draft(question, ranked, ("ranking",))


def the_one(g: Grammar) -> Draft | None:
    """Which store has the highest sales? The name alone."""
    drawn = _draw(g)
    if drawn is None:
        return None
    measure, dimension, query, noun, time = drawn
    high = g.chance(0.75)
    singular = g.pick(*dimension.nouns)
    noun = noun.removeprefix("total ") if g.chance(0.7) else noun
    most = g.random.choice([each for each in _most(measure, high, noun) if each != "most"] or ["the most"])
    had = "had" if time else "has"
    offset = g.random.choices([0, 1, 2], [10, 1, 0.35])[0]
    if offset:
        rank = ("second", "third")[offset - 1]
        if measure.kind == "count" and most in ("the most", "the fewest", "the least"):
            most = f"the {rank} {most.removeprefix('the ')}" if most == "the most" else f"the {rank}-fewest"
        else:
            word = most.removeprefix("the ")
            most = f"the {rank} {'highest' if word in ('most', 'best') else 'lowest' if word == 'least' else word}"
    forms = [
        (f"which {singular} {had} {most} {noun} {time}?", 6.0),
        (f"what {singular} {had} {most} {noun} {time}?", 1.0),
        (f"{singular} with {most} {noun} {time}", 2.0),
        (f"{g.pick('name', 'find', 'show me', 'tell me', 'give me')} the {singular} with {most} {noun} {time}", 1.5),
        (f"{g.pick('can you tell me', 'do you know', 'I would like to know')} which {singular} {had} {most} {noun} {time}", 0.6),
    ]
    said = g.lexicon.tables[dimension.table].said if dimension.table else None
    if said and said.person and not offset:
        forms.append((f"who {had} {most} {noun} {time}?", 1.0 if singular == g.lexicon.tables[dimension.table or ""].nouns[0] else 0))
    if dimension.time:
        in_which = f"in which {singular} {'were' if measure.plural else 'was'} {noun} {most.removeprefix('the ')} {time}?"
        forms = [(in_which, 3.0 if not offset and "most" not in most and measure.kind != "count" else 0.0), *forms]
    question = g.weighted(forms, lambda form: form[1])[0]
    # A quarter is shown with its year, and ranked by the measure all the same.
    ranked = Select(query.root, query.show, query.where, query.group, order=((measure.value, high),), limit=1, offset=offset or None)
    return Draft(question, ranked, ("ranking", "one"))


def _rows(g: Grammar, plural: bool) -> tuple[str, ColumnWords, Select, str, tuple[str, ...], bool] | None:
    """An entity and a column to order it by: (table, column, query of names, noun phrase, adjectives, descending)."""
    entity = g.entity()
    columns = [each for each in g.lexicon.of_kind(entity.name, "number", "date")
               if each.weight > 0 and (not each.is_dimension or each.said.high)]  # fmt: skip
    if not columns:
        return None
    by = g.weighted(columns, lambda each: each.weight * (1.5 if each.said.high or each.said.low else 0.7))
    high = g.chance(0.62)
    filters = g.filters(entity.name, g.random.choices([0, 1, 2], [5, 5, 0.7])[0], _columns_of(by))
    where = [*conditions(filters), *g.standing(entity.name, filters)]
    if by.profile.missing:
        where.append(exp.Not(this=exp.Is(this=by.expression.copy(), expression=exp.Null())))
    name = g.lexicon.display(entity.name).expression
    query = Select(entity.name, (name,), tuple(where))
    adjectives = by.said.high if high else by.said.low
    noun = g.noun_phrase(entity.name, filters, plural)
    return entity.name, by, query, noun if plural else _agreeing(noun), adjectives, high


def _columns_of(by: ColumnWords) -> list[str]:
    return [f"{node.table}.{node.name}" for node in by.expression.find_all(exp.Column)]


def top_rows(g: Grammar) -> Draft | None:
    """The 5 most expensive products: name and price."""
    drawn = _rows(g, plural=True)
    if drawn is None:
        return None
    _, by, query, noun, adjectives, high = drawn
    count = _count(g, g.lexicon.tables[query.root].size)
    n = spoken_count(g, count)
    column = g.random.choice(by.nouns)
    superlative = _superlative(by, high)
    what = g.weighted(
        [(f"{n} {g.random.choice(adjectives)} {noun}" if adjectives else "", 5.0),
         (f"{n} {noun} with the {superlative} {column}", 2.5 if superlative else 0.0),
         (f"{'top' if high else 'bottom'} {n} {noun} by {column}", 2.0 if by.kind == "number" else 0.0)],
        lambda form: form[1] if form[0] else 0.0,
    )[0]  # fmt: skip
    question = g.weighted(
        [(f"{g.pick(*_COMMANDS)} the {what}", 3.0), (what, 3.0), (f"what are the {what}?", 2.0),
         (f"which are the {what}?", 0.8), (f"{g.random.choice(_POLITE)} the {what}", 1.0)],
        lambda form: form[1],
    )[0]  # fmt: skip
    ranked = Select(query.root, (*query.show, by.expression), query.where, order=((by.expression, high),), limit=count)
    return Draft(question, ranked, ("ranking", "rows"))


def _superlative(by: ColumnWords, high: bool) -> str:
    if by.kind == "date":
        return "latest" if high else "earliest"
    return "highest" if high else "lowest"


def the_one_row(g: Grammar) -> Draft | None:
    """The cheapest product: its name alone."""
    drawn = _rows(g, plural=False)
    if drawn is None:
        return None
    table, by, query, singular, adjectives, high = drawn
    words_ = g.lexicon.tables[table]
    superlative = _superlative(by, high)
    column = g.random.choice(by.nouns)
    options: list[tuple[str, float]] = [
        (f"which {singular} has the {superlative} {column}?", 2.5),
        (f"{singular} with the {superlative} {column}", 1.2),
    ]
    offset = g.random.choices([0, 1, 2], [12, 1, 0.3])[0]
    if offset:
        rank = ("second", "third")[offset - 1]
        options = [(f"which {singular} has the {rank} {superlative} {column}?", 2.0),
                   (f"{singular} with the {rank} {superlative} {column}", 1.0)]  # fmt: skip
        options += [(f"the {rank} {each} {singular}", 1.5) for each in adjectives]
    elif adjectives:
        each = g.random.choice(adjectives)
        who = "who" if words_.said.person else "which"
        options += [(f"{who} is the {each} {singular}?", 3.0), (f"what is the {each} {singular}?", 0.0 if words_.said.person else 2.0),
                    (f"{each} {singular}", 1.0), (f"{g.pick('name', 'show', 'find', 'give me')} the {each} {singular}", 1.5),
                    (f"{g.pick('can you tell me', 'please tell me')} the {each} {singular}", 0.5)]  # fmt: skip
    question = g.weighted(options, lambda form: form[1])[0]
    ranked = Select(query.root, query.show, query.where, order=((by.expression, high),), limit=1, offset=offset or None)
    return Draft(question, ranked, ("ranking", "rows", "one"))


def _agreeing(noun: str) -> str:
    """A phrase for one row: "product that is seasonal"."""
    for many, one in ((" that are ", " that is "), (" who are ", " who is "), (" that have ", " that has "), (" who have ", " who has ")):
        noun = noun.replace(many, one)
    return noun
