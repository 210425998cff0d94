"""Comparisons: shares of a total, two periods, two values, a group with the average group, one figure per another."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import Filter, spoken_value
from sqlora.prepare.sources.synthesize.frames import ask_for
from sqlora.prepare.sources.synthesize.grammar import Dimension, Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, Measure, is_plural
from sqlora.prepare.sources.synthesize.periods import draw_years
from sqlora.prepare.sources.synthesize.query import Select, column
from sqlora.prepare.sources.synthesize.shapes.figures import by_phrase, period_columns, population, tables_of


def ratio(part: exp.Expr, whole: exp.Expr) -> exp.Expr:
    """part / NULLIF(whole, 0)."""
    return exp.Div(this=part.copy(), expression=exp.func("NULLIF", whole.copy(), exp.Literal.number("0")), typed=False, safe=False)


def _percent(value: exp.Expr) -> exp.Expr:
    return exp.Mul(this=exp.Literal.number("100"), expression=exp.Paren(this=value))


def _summed_when(measure: Measure, condition: exp.Expr) -> exp.Expr | None:
    """A total or a count over those rows only for which ``condition`` holds, within a query over all."""
    if measure.counts_rows:
        case = exp.Case(ifs=[exp.If(this=condition.copy(), true=exp.Literal.number("1"))], default=exp.Literal.number("0"))
        return exp.Sum(this=case)
    if isinstance(measure.value, exp.Sum):
        return exp.Sum(this=exp.Case(ifs=[exp.If(this=condition.copy(), true=measure.value.this.copy())]))
    return None


def _additive(measure: Measure) -> bool:
    return measure.where is None and (measure.counts_rows or isinstance(measure.value, exp.Sum))


def _share_words(g: Grammar) -> tuple[str, bool]:
    percent = g.chance(0.38)
    return (g.pick("percentage", "percent", "percentage") if percent else g.pick("share", "proportion", "share", "fraction")), percent


def share(g: Grammar) -> Draft | None:
    """What share of orders came from the app? Now and then by something."""
    measure = g.measure(_additive)
    if measure is None:
        return None
    dimension = g.dimension(measure) if g.chance(0.3) else None
    period = g.period(measure.date, 0.45)
    filters = g.filters_for(measure, 1, period, [dimension])
    if not filters or not g.fits(measure, tables_of(filters, dimension)):
        return None
    found = filters[0]
    part = _summed_when(measure, found.condition)
    if part is None:
        return None
    standing = g.standing(measure.root, filters)
    whole: exp.Expr = exp.Count(this=exp.Star(), big_int=True) if measure.counts_rows else measure.value
    word, percent = _share_words(g)
    value = ratio(part, whole)
    value = _percent(value) if percent else value
    groups = dimension.shown if dimension else ()
    query = Select(measure.root, (*groups, value), (*conditions((), period), *standing), groups)
    by = by_phrase(g, [dimension]) if dimension else ""
    time = period.phrase if period else ""
    question = _ask_share(g, measure, found, word, time, by)
    return Draft(question, query, ("share",)) if question else None


def _ask_share(g: Grammar, measure: Measure, found: Filter, word: str, time: str, by: str) -> str | None:
    table = g.lexicon.tables[measure.root]
    whole = g.pick(*table.plurals) if measure.counts_rows else g.random.choice(measure.names)
    of = f"{word} of {g.pick('', 'all ', 'the ' if not measure.counts_rows else 'our ')}{whole}"
    what = g.pick("what", "which", "what") + " "
    if found.table == measure.root and (predicate := g.predicate(found)) and measure.counts_rows:
        return words.tidy(g.pick(f"{what}{of} {predicate} {time} {by}?", f"{word} of {whole} that {predicate} {time} {by}",
                                 f"{what}{of} {predicate} {by} {time}?"))  # fmt: skip
    if found.table == measure.root and not (found.said.afar or found.said.afar_adjective or found.said.adjective):
        return None
    there = g.afar(found, measure.root) if found.table != measure.root or found.said.afar else ""
    if measure.counts_rows or not there:
        adjectives = found.said.afar_adjective or (found.said.adjective if found.table == measure.root else ())
        if adjectives and (not there or g.chance(0.4)):
            part = f"{g.random.choice(adjectives)} {whole}"
            return words.tidy(g.pick(f"{word} of {part} {time} {by}", f"what is the {word} of {part} {time} {by}?",
                                     f"{part} as a {word} of all {whole} {time} {by}"))  # fmt: skip
    if not there:
        return None
    came = g.pick("is", "comes", "was") if not measure.plural else g.pick("are", "were", "come" if there.startswith("from") else "are")
    came = came if came not in ("comes", "come") or there.startswith(("from", "through", "via")) else ("is" if not measure.plural else "are")
    return words.tidy(g.pick(f"{what}{of} {time} {came} {there} {by}?", f"{word} of {whole} {there} {time} {by}",
                             f"what is the {word} of {whole} {there} {time} {by}?"))  # fmt: skip


def share_breakdown(g: Grammar) -> Draft | None:
    """Each channel's share of sales."""
    measure = g.measure(_additive)
    dimension = g.dimension(measure, times=False) if measure else None
    if measure is None or dimension is None or len(dimension.shown) > 1:
        return None
    period = g.period(measure.date, 0.45)
    filters = g.filters_for(measure, g.random.choices([0, 1], [7, 2])[0], period, [dimension])
    if not g.fits(measure, tables_of(filters, dimension)):
        return None
    where = population(g, measure, filters, period)
    total = Select(measure.root, (measure.value,), where).build(g.lexicon.graph)
    if total is None:
        return None
    word, percent = _share_words(g)
    value = ratio(measure.value, exp.Subquery(this=total))
    value = _percent(value) if percent else value
    noun, time, each = g.figure(measure, filters).removeprefix("number of "), period.phrase if period else "", g.pick(*dimension.nouns)
    question = g.pick(
        f"{word} of {noun} {g.pick('by', 'per', 'for each')} {each} {time}", f"what is the {word} of {noun} {time} per {each}?",
        f"what {word} of {noun} {time} does each {each} have?", f"each {each}'s {word} of {noun} {time}",
        f"how is the {noun} {time} distributed over {words.plural(each)}, as a {word}?" if measure.kind == "amount" and not measure.plural
        else f"{word} of {noun} by {each} {time}",
    )  # fmt: skip
    return Draft(question, Select(measure.root, (*dimension.shown, value), where, dimension.shown), ("share", "breakdown"))


def two_periods(g: Grammar) -> Draft | None:
    """Sales in 2025 and 2024 by region, side by side."""
    measure = g.measure(lambda each: _additive(each) and each.date is not None)
    date = measure.date if measure else None
    if measure is None or date is None:
        return None
    later, earlier = draw_years(g.lexicon, date, g.random)
    first, second = (earlier, later) if g.chance(0.35) else (later, earlier)
    dimension = g.dimension(measure, times=False) if g.chance(0.72) else None
    filters = g.filters_for(measure, g.random.choices([0, 1], [6, 3])[0], later, [dimension])
    if not g.fits(measure, tables_of(filters, dimension)):
        return None
    figures = [_summed_when(measure, period.condition) for period in (first, second)]
    if figures[0] is None or figures[1] is None:
        return None
    groups = dimension.shown if dimension else ()
    noun, by = g.figure(measure, filters), by_phrase(g, [dimension]) if dimension else ""
    one, two = first.phrase, second.phrase
    question = g.pick(
        f"{noun} {by} in {one} and {two}" if g.chance(0.5) else f"{noun} in {one} and {two} {by}",
        f"compare {noun} {by} {g.pick('in', 'for')} {one} {g.pick('and', 'with', 'to', 'vs')} {two}",
        f"{noun} {by}, {one} {g.pick('vs', 'versus', 'against', 'compared to', 'vs.')} {two}",
        f"{g.pick('show', 'show me', 'give me', 'I need')} {noun} for {one} and {two} {by}",
        f"how {'do' if is_plural(noun) else 'does'} {noun} in {one} compare {g.pick('with', 'to')} {two} {by}?",
        f"what {'were' if is_plural(noun) else 'was'} {noun} {by} in {one} and in {two}?",
        f"{noun} in {one} next to {two} {by}",
        f"{by.replace('by', 'per', 1)}, {noun} in {one} and in {two}" if by.startswith(("by", "per", "for each")) else f"{one} vs {two} {noun} {by}",
    )  # fmt: skip
    query = Select(measure.root, (*groups, *figures), population(g, measure, filters, None), groups)  # type: ignore[arg-type]
    return Draft(question, query, ("comparison", "periods"))


def change(g: Grammar) -> Draft | None:
    """By how much did sales grow from 2024 to 2025? As a difference, or as a rate when that is asked."""
    measure = g.measure(lambda each: _additive(each) and each.date is not None)
    date = measure.date if measure else None
    if measure is None or date is None:
        return None
    later, earlier = draw_years(g.lexicon, date, g.random)
    dimension = g.dimension(measure, times=False) if g.chance(0.65) else None
    filters = g.filters_for(measure, g.random.choices([0, 1], [7, 2])[0], later, [dimension])
    if not g.fits(measure, tables_of(filters, dimension)):
        return None
    new, old = _summed_when(measure, later.condition), _summed_when(measure, earlier.condition)
    if new is None or old is None:
        return None
    difference = exp.Sub(this=new, expression=old)
    rate = g.chance(0.35)
    value = ratio(exp.Paren(this=difference), old) if rate else difference
    groups = dimension.shown if dimension else ()
    noun, by = g.figure(measure, filters), by_phrase(g, [dimension]) if dimension else ""
    one, two = earlier.phrase, later.phrase
    grown = g.pick("growth rate of", "relative change in", "growth rate of") if rate else g.pick("change in", "difference in", "increase in")
    forms = [f"{grown} {noun} from {one} to {two} {by}", f"what is the {grown} {noun} {by} from {one} to {two}?",
             f"{g.pick('show', 'give me', 'show me')} the {grown} {noun} between {one} and {two} {by}"]  # fmt: skip
    if not rate:
        forms.append(f"by how much did {noun} {g.pick('change', 'grow', 'increase')} from {one} to {two} {by}?")
        forms.append(f"how much higher {'were' if is_plural(noun) else 'was'} {noun} in {two} than in {one} {by}?")
    query = Select(measure.root, (*groups, value), population(g, measure, filters, None), groups)
    return Draft(g.random.choice(forms), query, ("comparison", "change"))


def two_values(g: Grammar) -> Draft | None:
    """Compare web and app sales: one row for each of the values."""
    measure = g.measure(lambda each: each.ranks and (each.kind != "ratio" or g.chance(0.5)))
    if measure is None:
        return None
    tables = [name for name in g.lexicon.graph.reach(measure.root) if name in g.lexicon.tables]
    columns = [each for name in tables for each in g.lexicon.of_kind(name, "category", "name") if each.weight > 0 and len(each.profile.values) > 1]
    columns = [each for each in columns if each.kind != "name"
               or (each.table != measure.root and each.name == g.lexicon.tables[each.table].display)]  # fmt: skip
    if not columns:
        return None
    by: ColumnWords = g.weighted(columns, lambda each: each.weight * (1.5 if each.table == measure.root else 1))
    values = g.random.sample(by.profile.values[:40], 2)
    period = g.period(measure.date, 0.5)
    if f"{by.table}.{by.name}" in period_columns(period) or not g.fits(measure, {by.table}):
        return None
    inside = exp.In(this=by.expression.copy(), expressions=[exp.Literal.string(str(value)) for value in values])
    where = (inside, *conditions((), period), *g.standing(measure.root, []))
    query = Select(measure.root, (by.expression, measure.value), where, (by.expression,))
    noun, time = g.figure(measure), period.phrase if period else ""
    one, two = (spoken_value(by, value, g.random) for value in values)
    what = g.pick(*g.lexicon.tables[by.table].nouns) if by.kind == "name" else g.pick(*(by.nouns if by.table == measure.root else by.afar))
    question = g.pick(
        f"compare {noun} {g.pick('for', 'of', 'between')} {one} and {two} {time}",
        f"{noun} for {what} {one} {g.pick('vs', 'versus', 'and', 'against')} {two} {time}",
        f"{one} vs {two}: {noun} {time}",
        f"how do {what} {one} and {what} {two} compare in {noun} {time}?" if g.chance(0.5) else f"how do {one} and {two} compare in {noun} {time}?",
        f"{g.pick('show', 'give me', 'show me')} {noun} by {what} for {one} and {two} {time}",
    )
    if _additive(measure) and g.chance(0.35):
        return _side_by_side(g, measure, by, values, (one, two), noun, time, query.where[1:]) or Draft(question, query, ("comparison", "values"))
    return Draft(question, query, ("comparison", "values"))


def _side_by_side(
    g: Grammar, measure: Measure, by: ColumnWords, values: Sequence[object], said: tuple[str, str], noun: str, time: str,
    where: tuple[exp.Expr, ...],
) -> Draft | None:
    """Web vs app orders per month: a column for each of the values."""
    avoid = frozenset({f"{by.table}.{by.name}"})
    dimension = g.dimension(measure, avoid)
    if dimension is None or not g.fits(measure, tables_of(dimension) | {by.table}) or (dimension.time and time):
        return None
    conditions_ = [exp.EQ(this=by.expression.copy(), expression=exp.Literal.string(str(value))) for value in values]
    figures = [figure for condition in conditions_ if (figure := _summed_when(measure, condition)) is not None]
    one, two = said
    each, vs = by_phrase(g, [dimension]), g.pick("vs", "versus", "and", "against")
    question = g.pick(f"{noun} {each}: {one} {vs} {two} {time}", f"{one} {vs} {two} {noun} {each} {time}",
                      f"{noun} of {one} and of {two} side by side {each} {time}",
                      f"show {one} and {two} {noun} side by side {each} {time}")  # fmt: skip
    return Draft(question, Select(measure.root, (*dimension.shown, *figures), where, dimension.shown), ("comparison", "values"))


def above_average_group(g: Grammar) -> Draft | None:
    """Stores whose sales are above those of the average store."""
    measure = g.measure(lambda each: _additive(each) or g.chance(0.1))
    dimension = g.dimension(measure, entities_only=True) if measure else None
    if measure is None or dimension is None:
        return None
    period = g.period(measure.date, 0.5)
    where = population(g, measure, [], period)
    if not g.fits(measure, tables_of(dimension)):
        return None
    groups = Select(measure.root, (measure.value,), where, dimension.shown).build(g.lexicon.graph)
    if groups is None:
        return None
    groups.selects[0].replace(exp.alias_(groups.selects[0].copy(), "total"))
    average = exp.select(exp.Avg(this=exp.column("total"))).from_(exp.Subquery(this=groups, alias=exp.TableAlias(this=exp.to_identifier("totals"))))
    more = g.chance(0.75)
    condition = (exp.GT if more else exp.LT)(this=measure.value.copy(), expression=exp.Subquery(this=average))
    noun, time = g.figure(measure), period.phrase if period else ""
    each = g.pick(*dimension.nouns)
    many, word = words.plural(each), g.pick("above", "higher than", "over") if more else g.pick("below", "lower than", "under")
    had = "had" if period else "have"
    question = g.pick(
        f"which {many} {had} {noun} {time} {word} the average {each}?", f"{many} with {noun} {word} the average {each} {time}",
        f"{g.pick('list', 'show me', 'find')} {g.pick('', 'all ', 'the ')}{many} whose {noun} {time} {'are' if is_plural(noun) else 'is'} {word} the average per {each}",
        f"{many} with {'above' if more else 'below'}-average {noun} {time}", f"which {many} had {'above' if more else 'below'} average {noun} {time}?",
    )  # fmt: skip
    if measure.kind == "count" and g.chance(0.7):
        than = f"{'more' if more else 'fewer'} {noun.removeprefix('number of ')} {time} than the average {each}"
        question = g.pick(f"which {many} {had} {than}?", f"{many} with {than}", f"{many} that {had} {than}")
    return Draft(question, Select(measure.root, dimension.shown, where, dimension.shown, (condition,)), ("having", "subquery"))


def per_each(g: Grammar) -> Draft | None:
    """Average number of orders per customer: a total by the number of different keys."""
    measure = g.measure(lambda each: each.counts_rows or isinstance(each.value, exp.Sum))
    if measure is None:
        return None
    edges = [edge for path in g.lexicon.graph.paths[measure.root].values() for edge in path[-1:]
             if len(edge.columns) == 1 and edge.using and edge.target in g.lexicon.tables]  # fmt: skip
    if not edges:
        return None
    edge = g.weighted(edges, lambda each: g.lexicon.tables[each.target].weight)
    target = g.lexicon.tables[edge.target]
    if not g.fits(measure, {edge.target} if measure.only_with else set()):
        return None
    dimension: Dimension | None = g.dimension(measure) if g.chance(0.35) else None
    if dimension and dimension.table == edge.target:
        return None
    period = g.period(measure.date, 0.45)
    filters = g.filters_for(measure, g.random.choices([0, 1], [6, 3])[0], period, [dimension])
    if any(found.table == edge.target and isinstance(found.condition, exp.EQ) for found in filters) or not g.fits(measure, tables_of(filters, dimension)):
        return None
    keys = exp.Count(this=exp.Distinct(expressions=[column(edge.source, edge.columns[0][0])]))
    groups = dimension.shown if dimension else ()
    noun = g.noun_phrase(measure.root, filters) if measure.counts_rows else g.figure(measure, filters).removeprefix("total ")
    each = g.pick(*target.nouns)
    what = f"average {'number of ' if measure.counts_rows else ''}{noun} per {each}"
    by = g.pick("by", "for each") + " " + g.pick(*dimension.nouns) if dimension else ""
    query = Select(measure.root, (*groups, ratio(measure.value, keys)), population(g, measure, filters, period), groups)
    question = ask_for(g, f"{what} {by}", period)
    if measure.counts_rows and g.chance(0.25):
        question = f"how many {noun} {period.phrase if period else ''} per {each} on average {by}?"
    return Draft(question, query, ("ratio",))


def union_of_columns(g: Grammar) -> Draft | None:
    """All cities of stores or customers: two columns of the same kind of thing."""
    columns = [each for name in g.lexicon.tables for each in g.lexicon.of_kind(name, "category") if each.weight > 0]
    pairs = [(left, right) for place, left in enumerate(columns) for right in columns[place + 1 :]
             if left.table != right.table and _overlap(left, right)]  # fmt: skip
    if not pairs:
        return None
    left, right = g.random.choice(pairs)
    if left.profile.missing or right.profile.missing:
        return None  # NOT IN over NULLs is empty
    one, two = (Select(each.table, (each.expression,), tuple(g.standing(each.table, ()))).build(g.lexicon.graph) for each in (left, right))
    if one is None or two is None:
        return None
    first, second = (g.lexicon.tables[each.table].plurals[0] for each in (left, right))
    what = words.plural(min(left.nouns[0], right.nouns[0], key=len))
    if g.chance(0.4):
        apart = exp.Not(this=exp.In(this=right.expression.copy(), query=exp.Subquery(this=one)))
        question = g.pick(f"{what} with {second} but no {first}", f"which {what} have {second} but no {first}?",
                          f"{what} where we have {second} but not a single {g.lexicon.tables[left.table].nouns[0]}")  # fmt: skip
        return Draft(question, Select(right.table, (right.expression,), (apart,), distinct=True), ("union", "apart"))
    both = g.chance(0.35)
    question = g.pick(f"all {what} where we have {first} or {second}", f"list every {what} of {first} and {second} once",
                      f"which {what} have {first} or {second}?")  # fmt: skip
    if both:
        question = g.pick(f"{what} with both {first} and {second}", f"which {what} have both {first} and {second}?")
    kind = exp.Intersect if both else exp.Union
    return Draft(question, kind(this=one, expression=two, distinct=True), ("union",))


def _overlap(left: ColumnWords, right: ColumnWords) -> bool:
    shared = set(left.profile.values) & set(right.profile.values)
    return len(shared) >= 3 and len(shared) >= 0.3 * min(len(left.profile.values), len(right.profile.values))
