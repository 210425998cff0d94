"""Figures: one number, or a number for each of something."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import Filter
from sqlora.prepare.sources.synthesize.frames import ask_for, ask_how_many
from sqlora.prepare.sources.synthesize.grammar import Dimension, Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import Measure, is_plural
from sqlora.prepare.sources.synthesize.periods import Period, draw_years, fiscal_year_period
from sqlora.prepare.sources.synthesize.query import Select


def population(
    g: Grammar, measure: Measure, filters: Sequence[Filter], period: Period | None
) -> tuple[exp.Expr, ...]:
    """WHERE of a measure."""
    fixed = [measure.where] if measure.where is not None else []
    standing = [] if measure.event else g.standing(measure.root, filters)
    return (*conditions(filters), *fixed, *conditions((), period), *standing)


def tables_of(*groups: Sequence[Filter] | Dimension | None) -> set[str]:
    """Tables that filters and dimensions bring in."""
    found: set[str] = set()
    for group in groups:
        if isinstance(group, Dimension):
            found |= {node.table for each in group.shown for node in each.find_all(exp.Column)}
        elif group:
            found |= {each.table for each in group}
    return found


def rounded(g: Grammar, measure: Measure, noun: str, share: float = 0.05) -> tuple[exp.Expr, str]:
    """The measure's value, now and then rounded to two decimals because the question says so."""
    columns = [g.lexicon.columns[node.table][node.name] for node in measure.value.find_all(exp.Column)]
    whole = measure.kind != "average" and all(each.profile.whole for each in columns)
    if measure.kind in ("amount", "average", "ratio") and measure.ranks and not whole and g.chance(share):
        word = g.pick("rounded to 2 decimals", "to the penny", "rounded", "rounded to two decimals", "to the cent")
        value = exp.Round(this=measure.value.copy(), decimals=exp.Literal.number("2"))
        return value, f"{noun} {word}"
    return measure.value, noun


def scalar(g: Grammar) -> Draft | None:
    """What were sales of tea last month?"""
    measure = g.measure()
    if measure is None:
        return None
    period = g.period(measure.date, 0.6)
    filters = g.filters_for(measure, g.random.choices([0, 1, 2], [4, 5, 1.3] if period else [2.2, 6, 2])[0], period)
    if not g.fits(measure, tables_of(filters)):
        return None
    noun = g.figure(measure, filters)
    value, noun = rounded(g, measure, noun)
    query = Select(measure.root, (value,), population(g, measure, filters, period))
    if measure.asks and g.chance(0.4):
        phrases = [g.afar(found, measure.root) for found in filters if found.table != measure.root]
        after = " ".join(phrases)
        if len(phrases) == len(filters) and not after.startswith(("by ", "handled ", "on ")):
            question = f"{g.random.choice(measure.asks)} {after} {period.phrase if period else ''}?"
            return Draft(question, Select(measure.root, (measure.value,), query.where), ("figure",))
    if measure.counts_rows:
        noun = g.noun_phrase(measure.root, filters)
        if g.chance(0.16):
            # "regions in Wales" asks for their names, "walk-in orders last month" for their number.
            named = g.lexicon.tables[measure.root].display is not None
            asked = ask_for(g, f"number of {noun}", period) if named else f"{noun} {period.phrase if period else ''}"
            return Draft(asked, query, ("figure", "count"))
        date = measure.date
        done = g.random.choice(date.said.happened) if date and date.said.happened and date.table == measure.root else ""
        return Draft(ask_how_many(g, noun, period, done=done), query, ("figure", "count"))
    if measure.kind == "count" and not measure.counts_rows and g.chance(0.75):
        # "products launched in 2025" could ask for a list; "how many" can't.
        return Draft(ask_how_many(g, noun.removeprefix("number of "), period), query, ("figure", "count"))
    if (measure.kind == "count" and " who " in noun) or noun.split()[0] in ("people", "employees"):
        noun = f"number of {noun.removeprefix('number of ')}"
    return Draft(ask_for(g, noun, period), query, ("figure",))


def period_columns(period: Period | None) -> set[str]:
    """The columns that a period speaks of."""
    return {f"{node.table}.{node.name}" for node in period.condition.find_all(exp.Column)} if period else set()


def breakdown(g: Grammar) -> Draft | None:
    """Sales by region in FY2026."""
    measure = g.measure()
    if measure is None:
        return None
    dimension = g.dimension(measure)
    if dimension is None:
        return None
    return _broken_down(g, measure, [dimension])


def breakdown_by_two(g: Grammar) -> Draft | None:
    """Orders per store and channel."""
    measure = g.measure()
    if measure is None:
        return None
    first = g.dimension(measure)
    second = g.dimension(measure, first.columns) if first else None
    if first is None or second is None or (first.time and second.time):
        return None
    if _owner(first) == _owner(second) and (first.table or second.table):
        return None  # a store has one city: the second says nothing
    return _broken_down(g, measure, [first, second])


def _owner(dimension: Dimension) -> str:
    return next(iter(dimension.columns)).split(".")[0]


def _broken_down(g: Grammar, measure: Measure, dimensions: list[Dimension]) -> Draft | None:
    over_time = any(each.time for each in dimensions)
    period = g.period(measure.date, 0.3 if over_time else 0.5)
    if period and over_time and (period.short or not any(each.adjectives for each in dimensions)):
        period = None  # a month has one month
    filters = g.filters_for(measure, g.random.choices([0, 1, 2], [6, 4, 0.4])[0], period, dimensions)
    if not g.fits(measure, tables_of(filters, *dimensions)):
        return None
    adjective = ""
    named = list(dimensions)
    if len(dimensions) == 1 and dimensions[0].adjectives and g.chance(0.45):
        adjective = g.random.choice(dimensions[0].adjectives)
        named = []
    noun = g.figure(measure, filters, adjective)
    value, noun = rounded(g, measure, noun, 0.04)
    by = by_phrase(g, named)
    groups = tuple(each for dimension in dimensions for each in dimension.shown)
    query = Select(
        measure.root, (*groups, value), population(g, measure, filters, period), groups,
    )  # fmt: skip
    question = _ask_breakdown(g, measure, noun, by, named, period)
    order, said = _order(g, dimensions, measure)
    if order:
        query = Select(query.root, query.show, query.where, query.group, order=order)
        question = f"{question.rstrip('?')}{said}"
    return Draft(question, query, ("breakdown",))


def by_phrase(g: Grammar, dimensions: Sequence[Dimension]) -> str:
    """``by region and month``."""
    if not dimensions:
        return ""
    nouns = [g.pick(*each.nouns) for each in dimensions]
    if len(nouns) == 1:
        return f"{g.pick('by', 'per', 'for each', 'broken down by', 'split by', 'grouped by')} {nouns[0]}"
    return g.pick(
        f"by {nouns[0]} and {nouns[1]}", f"per {nouns[0]} and {nouns[1]}", f"for each {nouns[0]} and {nouns[1]}",
        f"per {nouns[0]} per {nouns[1]}", f"split by {nouns[0]} and {nouns[1]}",
    )  # fmt: skip


def _ask_breakdown(
    g: Grammar, measure: Measure, noun: str, by: str, named: Sequence[Dimension], period: Period | None
) -> str:
    time = period.phrase if period else ""
    if by and measure.counts_rows and g.chance(0.35) and noun.split()[0] not in ("number", "total"):
        verb = "did we have" if time else "do we have"
        each = by.replace("broken down by", "per").replace("split by", "per").replace("grouped by", "per").replace("by", "per")
        where = each.replace("per", g.pick("per", "in each", "for each"), 1) if each.startswith("per") else each
        if not (where.startswith("in each") and named[0].table is None):
            return g.pick(f"how many {noun} {verb} {where} {time}?", f"how many {noun} {'were' if time else 'are'} there {where} {time}?",
                          f"how many {noun} {where} {time}?")  # fmt: skip
    if measure.counts_rows and not noun.startswith("number of"):
        # "show the articles per category" could ask for the articles.
        if g.chance(0.5):
            return g.pick(f"{noun} {by} {time}", f"{noun} {by} {time}", f"{noun} {by}{', ' if time else ''}{period.bare if period else ''}")
        noun = f"number of {noun}"
    if by and len(named) == 1 and g.chance(0.12):
        each = g.pick(*named[0].nouns)
        return g.pick(f"for each {each}, show the {noun} {time}", f"per {each}: {noun} {time}",
                      f"for every {each}, give me the {noun} {time}", f"{each} wise {noun} {time}")  # fmt: skip
    if by and len(named) == 1 and measure.kind == "amount" and g.chance(0.05):
        each = g.pick(*named[0].nouns)
        return f"how {'do' if is_plural(noun) else 'does'} {noun} {time} break down by {each}?"
    if period and g.chance(0.3):
        return ask_for(g, f"{noun} {time} {by}", None, past=True)
    return ask_for(g, f"{noun} {by}", period)


def _order(
    g: Grammar, dimensions: Sequence[Dimension], measure: Measure
) -> tuple[tuple[tuple[exp.Expr, bool], ...], str]:
    """Sorted, in some of the questions, which then say so."""
    draw = g.random.random()
    first = dimensions[0]
    if draw < 0.09:
        said = g.pick(", highest first", ", sorted from high to low", ", largest first", ", in descending order", ", biggest to smallest",
                      ", ordered by the figure descending")  # fmt: skip
        return ((measure.value, True),), said
    if draw < 0.115:
        return ((measure.value, False),), g.pick(", lowest first", ", smallest first", ", in ascending order", ", sorted from low to high")
    if draw < 0.15 and first.table and len(dimensions) == 1:
        said = g.pick(", in alphabetical order", ", sorted by name", ", alphabetically", f", ordered by {first.nouns[0]} name")
        return ((first.shown[0], False),), said
    if draw < 0.25 and first.time and len(dimensions) == 1:
        said = g.pick(", in chronological order", ", oldest first", f", sorted by {first.nouns[0]}", ", in order of time",
                      ", chronologically")  # fmt: skip
        return tuple((each, False) for each in first.shown), said
    return (), ""


def two_figures(g: Grammar) -> Draft | None:
    """Sales and units sold by region."""
    first = g.measure()
    if first is None:
        return None
    second = g.measure(lambda each: each.root == first.root and each.value != first.value)
    if second is None:
        return None
    dimension = g.dimension(first) if g.chance(0.75) else None
    period = g.period(first.date, 0.5)
    filters = g.filters_for(first, g.random.choices([0, 1], [5, 3])[0], period, [dimension])
    tables = tables_of(filters, dimension)
    if not g.fits(first, tables) or not g.fits(second, tables):
        return None
    names = [g.random.choice([name for name in each.names if name.startswith("number") or not each.counts_rows]) for each in (first, second)]
    if any(each.of_rows for each in (first, second)) or names[0] == names[1]:
        return None
    also = g.pick("and", "and", "as well as", "and also", "together with")
    where = " ".join(g.afar(found, first.root) for found in filters)
    if any(found.table == first.root and not found.said.afar for found in filters):
        return None
    noun = f"{names[0]} {also} {names[1]} {where}"
    groups = dimension.shown if dimension else ()
    by = by_phrase(g, [dimension]) if dimension else ""
    query = Select(first.root, (*groups, first.value, second.value), population(g, first, filters, period), groups)
    if " of " in names[0] and where:
        return None
    return Draft(ask_for(g, f"{noun} {by}", period).replace("what is", "what are").replace("what was", "what were"), query, ("breakdown", "several"))


def having(g: Grammar) -> Draft | None:
    """Stores with sales over 10,000 in 2025: the name alone."""
    measure = g.measure(lambda each: each.kind in ("amount", "count") or (each.ranks and g.chance(0.3)))
    if measure is None:
        return None
    dimension = g.dimension(measure, entities_only=g.chance(0.65), times=False)
    if dimension is None:
        return None
    period = g.period(measure.date, 0.5)
    filters = g.filters_for(measure, g.random.choices([0, 1], [6, 2])[0], period, [dimension])
    if not g.fits(measure, tables_of(filters, dimension)):
        return None
    values = g.spread(Select(measure.root, (measure.value,), population(g, measure, filters, period), dimension.shown))
    if len(values) < 4:
        return None
    more = g.chance(0.72)
    limit = words.nice(values[int(len(values) * (g.random.uniform(0.55, 0.95) if more else g.random.uniform(0.05, 0.4)))])
    if limit <= 0:
        return None
    inclusive = g.chance(0.18)
    kind = {(True, False): exp.GT, (True, True): exp.GTE, (False, False): exp.LT, (False, True): exp.LTE}[more, inclusive]
    condition = kind(this=measure.value.copy(), expression=exp.Literal.number(words.number(limit)))
    amount = words.spoken_number(limit, g.random)
    spoken = compared(g, measure, g.figure(measure, filters), amount, more, inclusive)
    time = period.phrase if period else ""
    plural = words.plural(g.pick(*dimension.nouns))
    had = "had" if period else "have"
    question = g.weighted(
        [(f"which {plural} {had} {spoken} {time}?", 4.0), (f"{plural} with {spoken} {time}", 2.0),
         (f"{g.pick('list', 'show me', 'show', 'find', 'name')} {g.pick('', 'all ', 'the ')}{plural} with {spoken} {time}", 2.5),
         (f"{plural} that {had} {spoken} {time}", 0.8),
         (f"{g.pick('please list', 'could you list', 'can you show me')} the {plural} with {spoken} {time}", 0.8)],
        lambda form: form[1],
    )[0]  # fmt: skip
    shown: tuple[exp.Expr, ...] = dimension.shown
    if g.chance(0.12):
        shown = (*shown, measure.value)
        question = question.rstrip("?") + g.pick(", and how much" if measure.kind != "count" else ", and how many",
                                                 ", with the figure", ", and the figure for each")  # fmt: skip
    query = Select(measure.root, shown, population(g, measure, filters, period), dimension.shown, (condition,))
    return Draft(question, query, ("having",))


def grew(g: Grammar) -> Draft | None:
    """Categories that sold less in FY2026 than in FY2025: two periods compared in HAVING."""
    measure = g.measure(lambda each: each.date is not None and isinstance(each.value, exp.Sum) and each.where is None)
    dimension = g.dimension(measure, entities_only=g.chance(0.8), times=False) if measure else None
    if measure is None or measure.date is None or dimension is None or not g.fits(measure, tables_of(dimension)):
        return None
    later, earlier = draw_years(g.lexicon, measure.date, g.random)
    new, old = (exp.Sum(this=exp.Case(ifs=[exp.If(this=each.condition.copy(), true=measure.value.this.copy())])) for each in (later, earlier))
    more = g.chance(0.5)
    condition = (exp.GT if more else exp.LT)(this=new, expression=old)
    plural, noun = words.plural(g.pick(*dimension.nouns)), g.figure(measure)
    word = g.pick("more", "higher") if more else g.pick("less", "lower")
    if word in ("more", "less"):
        question = g.pick(f"which {plural} had {word} {noun} in {later.phrase} than in {earlier.phrase}?",
                          f"{plural} with {word} {noun} in {later.phrase} than in {earlier.phrase}")  # fmt: skip
    else:
        question = g.pick(f"{plural} whose {noun} in {later.phrase} {'were' if measure.plural else 'was'} {word} than in {earlier.phrase}",
                          f"which {plural} had {word} {noun} in {later.phrase} than in {earlier.phrase}?",
                          f"{plural} whose {noun} {'rose' if more else 'fell'} from {earlier.phrase} to {later.phrase}")  # fmt: skip
    query = Select(measure.root, dimension.shown, population(g, measure, [], None), dimension.shown, (condition,))
    return Draft(question, query, ("having", "periods"))


def compared(g: Grammar, measure: Measure, noun: str, amount: str, more: bool, inclusive: bool) -> str:
    """``more than 500 orders`` for what is counted, ``sales above 10,000`` for the rest."""
    if measure.kind == "count" and not noun.startswith(("number of", "total")):
        form = {(True, False): ("more than", "over"), (True, True): ("at least",), (False, False): ("fewer than", "less than"),
                (False, True): ("at most", "no more than")}[more, inclusive]  # fmt: skip
        return f"{g.pick(*form)} {amount} {noun}"
    form = {(True, False): ("above", "over", "of more than", "greater than"), (True, True): ("of at least",),
            (False, False): ("below", "under", "of less than"), (False, True): ("of at most",)}[more, inclusive]  # fmt: skip
    article = "" if is_plural(noun) or measure.kind == "amount" else words.with_article(noun).split()[0]
    return f"{article} {noun} {g.pick(*form)} {amount}"


def filled(g: Grammar) -> Draft | None:
    """Customers per tier, those without one as "none": COALESCE."""
    measure = g.measure()
    if measure is None:
        return None
    columns = [each for name in g.lexicon.graph.reach(measure.root) if name in g.lexicon.tables
               for each in g.lexicon.of_kind(name, "category") if each.profile.missing and each.weight > 0]  # fmt: skip
    if not columns:
        return None
    by = g.weighted(columns, lambda each: each.weight * (3 if each.table == measure.root else 1))
    if not g.fits(measure, {by.table}):
        return None
    word = g.pick("none", "unknown", "not given", "other", "n/a", "no " + by.nouns[0], "missing")
    value = exp.Coalesce(this=by.expression.copy(), expressions=[exp.Literal.string(word)])
    period = g.period(measure.date, 0.3)
    noun, time = g.figure(measure), period.phrase if period else ""
    each = g.pick(*(by.nouns if by.table == measure.root else by.afar))
    said = g.pick(f'those without one as "{word}"', f'with "{word}" where it is missing', f'call the missing ones "{word}"',
                  f'count the missing as "{word}"', f'show "{word}" where there is none', f'use "{word}" for blanks')  # fmt: skip
    question = f"{ask_for(g, f'{noun} {g.pick(*_PER)} {each} {time}', None).rstrip('?.')}, {said}"
    query = Select(measure.root, (value, measure.value), population(g, measure, [], period), (value,))
    return Draft(question, query, ("breakdown", "filled"))


_PER = ("by", "per", "for each")


def extremes(g: Grammar) -> Draft | None:
    """Lowest and highest list price of toys, perhaps for each of something."""
    measure = g.measure(lambda each: isinstance(each.value, exp.Avg) and isinstance(each.value.this, exp.Column))
    if measure is None:
        return None
    filters = g.filters_for(measure, g.random.choices([0, 1, 2], [2, 5, 1])[0], None)
    dimension = g.dimension(measure, tables_of_columns(filters)) if g.chance(0.35) else None
    if not g.fits(measure, tables_of(filters, dimension)):
        return None
    low, high = (kind(this=measure.value.this.copy()) for kind in (exp.Min, exp.Max))
    noun = g.figure(measure, filters).replace("average ", "").replace("mean ", "")
    order, said = g.random.choice([((low, high), g.pick("lowest and highest", "min and max", "minimum and maximum", "smallest and largest")),
                                   ((high, low), g.pick("highest and lowest", "max and min", "maximum and minimum"))])  # fmt: skip
    groups = dimension.shown if dimension else ()
    by = by_phrase(g, [dimension]) if dimension else ""
    query = Select(measure.root, (*groups, *order), population(g, measure, filters, None), groups)
    question = ask_for(g, f"{said} {noun} {by}", None).replace("what is", "what are")
    return Draft(question, query, ("figure", "several"))


def tables_of_columns(filters: Sequence[Filter]) -> frozenset[str]:
    """Columns that filters speak of."""
    return frozenset(name for each in filters for name in each.about)


def by_quarter(g: Grammar) -> Draft | None:
    """Sales per quarter of FY2026: the year is said, so the quarter alone is shown."""
    functions = g.lexicon.functions
    measure = g.measure(lambda each: each.date is not None)
    if measure is None or measure.date is None or not functions.has("fiscal_quarter"):
        return None
    period = fiscal_year_period(g.lexicon, measure.date, g.random)
    filters = g.filters_for(measure, g.random.choices([0, 1], [6, 4])[0], period)
    if not g.fits(measure, tables_of(filters)):
        return None
    quarter = functions.call("fiscal_quarter", measure.date.expression)
    noun = g.figure(measure, filters)
    question = g.pick(
        ask_for(g, f"{noun} {g.pick('per', 'by', 'for each')} {g.pick('quarter', 'quarter', 'fiscal quarter')}", period),
        f"{g.pick('quarterly', 'quarterly', 'quarter by quarter')} {noun} {period.phrase}",
        f"{noun} per quarter of {period.adjective}" if period.adjective and "'" not in period.adjective else f"{noun} by quarter {period.phrase}",
    )
    query = Select(measure.root, (quarter, measure.value), population(g, measure, filters, period), (quarter,))
    return Draft(question, query, ("breakdown", "quarter"))
