"""Who did and who never did: entities by the facts that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import Filter, draw_filter
from sqlora.prepare.sources.synthesize.frames import ask_how_many, ask_list
from sqlora.prepare.sources.synthesize.glossary import RelationSection
from sqlora.prepare.sources.synthesize.grammar import Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import TableWords
from sqlora.prepare.sources.synthesize.periods import Period
from sqlora.prepare.sources.synthesize.query import Select, column
from sqlora.prepare.sources.synthesize.shapes.figures import period_columns


def _relation(g: Grammar) -> tuple[RelationSection, TableWords, str, str, str] | None:
    """A relation whose key is one column: (…, its entity, the entity's key, the table and column that hold it)."""
    relations = g.lexicon.relations()
    if not relations:
        return None
    relation = g.weighted(relations, lambda each: each.weight)
    path = g.lexicon.graph.paths[relation.fact].get(relation.entity)
    entity = g.lexicon.tables.get(relation.entity)
    if not path or entity is None or not entity.display or len(path[-1].columns) != 1:
        return None
    held, key = path[-1].columns[0]
    return relation, entity, key, path[-1].source, held


def _objects(g: Grammar, relation: RelationSection, forms: Sequence[str]) -> tuple[str, list[Filter]] | None:
    """``bought {object}`` filled with something like "seasonal products"."""
    if not forms or relation.object is None:
        return None
    filters = g.filters(relation.object, 1)
    if not filters:
        return None
    found = filters[0]
    name = g.lexicon.tables[relation.object].display
    if found.table == relation.object and found.says("noun") is False and not found.says("adjective", "phrase"):
        return None
    if found.about == {f"{relation.object}.{name}"} and isinstance(found.condition, exp.EQ) and found.said.phrase:
        spoken = found.said.phrase[0].removeprefix("called ").removeprefix("named ")
        return g.random.choice(forms).replace("{object}", spoken), filters
    return g.random.choice(forms).replace("{object}", g.noun_phrase(relation.object, filters)), filters


def _predicate(template: str, period: Period | None) -> str:
    return words.tidy(template.replace("{t}", period.phrase if period else ""))


def _draft(
    g: Grammar, entity: TableWords, predicate: str, where: tuple[exp.Expr, ...], filters: Sequence[Filter], tags: tuple[str, ...]
) -> Draft:
    """Names, or how many, of the entities for which ``predicate`` holds."""
    noun = g.noun_phrase(entity.name, filters)
    full = (*conditions(filters), *g.standing(entity.name, filters), *where)
    if g.chance(0.27):
        query = Select(entity.name, (exp.Count(this=exp.Star(), big_int=True),), full)
        return Draft(ask_how_many(g, noun, None, predicate), query, (*tags, "count"))
    query = Select(entity.name, (g.lexicon.display(entity.name).expression,), full)
    return _names(g, entity, noun, predicate, query, bool(filters), (*tags, "list"))


def _names(
    g: Grammar, entity: TableWords, noun: str, predicate: str, query: Select, filtered: bool, tags: tuple[str, ...]
) -> Draft:
    pronoun = "who" if entity.said.person else "that"
    if g.chance(0.3):
        return Draft(ask_list(g, f"{noun} {pronoun} {predicate}", None, entity.said.person), query, tags)
    if entity.said.who and g.chance(0.2) and not filtered and predicate.split()[0] not in ("have", "are", "do"):
        return Draft(f"{g.random.choice(entity.said.who)} {predicate}?", query, tags)
    return Draft(ask_list(g, noun, predicate, entity.said.person), query, tags)


def has(g: Grammar) -> Draft | None:
    """Customers who bought wine last month."""
    chosen = _relation(g)
    if chosen is None:
        return None
    relation, entity, _, holder, held = chosen
    period = g.period(g.lexicon.date_of(relation.fact), 0.6)
    objects = _objects(g, relation, relation.with_object) if g.chance(0.6) else None
    if period is None and objects is None and g.chance(0.6):
        return None
    template, inner = objects or (g.random.choice(relation.has), [])
    if "{t}" not in template:
        period = None
    if any(found.table == entity.name for found in inner):
        return None
    filters = g.filters(entity.name, g.random.choices([0, 1], [6, 3])[0])
    where = (*conditions(filters), *conditions(inner, period), *_standing(g, relation, entity, inner, filters))
    predicate, noun = _predicate(template, period), g.noun_phrase(entity.name, filters)
    if g.chance(0.3):
        keys = exp.Count(this=exp.Distinct(expressions=[column(holder, held)]))
        how_many = f"{g.pick('', '', 'different ')}{noun}"
        return Draft(ask_how_many(g, how_many, None, predicate), Select(relation.fact, (keys,), where), ("membership", "count"))
    query = Select(relation.fact, (g.lexicon.display(entity.name).expression,), where, distinct=True)
    return _names(g, entity, noun, predicate, query, bool(filters), ("membership", "list"))


def both(g: Grammar) -> Draft | None:
    """Customers who bought both tea and wine: two EXISTS."""
    chosen = _relation(g)
    if chosen is None or chosen[0].object is None or not chosen[0].with_object:
        return None
    relation, entity, key, holder, held = chosen
    said = g.random.choice(relation.with_object)
    first = g.filters(str(relation.object), 1)
    if not first or not isinstance(first[0].condition, exp.EQ) or first[0].table == entity.name:
        return None
    for _ in range(12):
        second = draw_filter(g.lexicon, first[0].table, g.random, afar=first[0].table != relation.object)
        if second and second.about == first[0].about and isinstance(second.condition, exp.EQ) and second.condition != first[0].condition:
            break
    else:
        return None
    found = []
    for each in (first[0], second):
        link = exp.EQ(this=column(holder, held), expression=column(entity.name, key))
        where = (link, *conditions([each]), *_standing(g, relation, entity, [each], []))
        rows = Select(relation.fact, (exp.Literal.number("1"),), where, outer=(entity.name,)).build(g.lexicon.graph)
        if rows is None:
            return None
        found.append(exp.Exists(this=rows))
    one, two = (g.noun_phrase(str(relation.object), [each]) for each in (first[0], second))
    predicate = _predicate(said.replace("{object}", f"{g.pick('both ', '')}{one} and {two}"), None)
    return _draft(g, entity, predicate, tuple(found), [], ("membership", "both"))


def _standing(
    g: Grammar, relation: RelationSection, entity: TableWords, inner: Sequence[Filter], filters: Sequence[Filter]
) -> tuple[exp.Expr, ...]:
    """Leavers are no staff, neither as the entity nor as the fact."""
    found = list(g.standing(entity.name, filters))
    return (*found, *g.standing(relation.fact, inner))


def never(g: Grammar) -> Draft | None:
    """Products never sold: NOT EXISTS, which NULLs can't spoil as they do NOT IN."""
    chosen = _relation(g)
    if chosen is None:
        return None
    relation, entity, key, holder, held = chosen
    period = g.period(g.lexicon.date_of(relation.fact), 0.55)
    objects = _objects(g, relation, relation.without_object) if g.chance(0.35) else None
    template, inner = objects or (g.random.choice(relation.never), [])
    if "{t}" not in template:
        period = None  # "never ordered" and a period contradict each other
    if any(found.table == entity.name for found in inner):
        return None
    filters = g.filters(entity.name, g.random.choices([0, 1], [5, 4])[0])
    link = exp.EQ(this=column(holder, held), expression=column(entity.name, key))
    within = (link, *conditions(inner, period), *g.standing(relation.fact, inner))
    rows = Select(relation.fact, (exp.Literal.number("1"),), within, outer=(entity.name,))
    subquery = rows.build(g.lexicon.graph)
    if subquery is None:
        return None
    condition = exp.Not(this=exp.Exists(this=subquery))
    return _draft(g, entity, _predicate(template, period), (condition,), filters, ("membership", "never"))


def _counted(g: Grammar) -> tuple[RelationSection, TableWords, str, str, str, Period | None, exp.Expr, str] | None:
    chosen = _relation(g)
    if chosen is None or not chosen[0].more:
        return None
    relation, entity, key, holder, held = chosen
    period = g.period(g.lexicon.date_of(relation.fact), 0.5)
    rows = exp.Count(this=exp.Star(), big_int=True)
    within = (*conditions((), period), *g.standing(relation.fact, ()))
    values = g.spread(Select(relation.fact, (rows,), within, (column(holder, held),)))
    if len(values) < 4:
        return None
    limit = words.nice(values[int(len(values) * g.random.uniform(0.6, 0.97))])
    condition = exp.GT(this=rows, expression=exp.Literal.number(words.number(limit)))
    predicate = _predicate(g.random.choice(relation.more).replace("{n}", words.spoken_number(limit, g.random)), period)
    return relation, entity, key, holder, held, period, condition, predicate


def more_than(g: Grammar) -> Draft | None:
    """Customers who placed more than 20 orders in 2025."""
    counted = _counted(g)
    if counted is None:
        return None
    relation, entity, _, _, _, period, condition, predicate = counted
    name = g.lexicon.display(entity.name).expression
    filters = g.filters(entity.name, g.random.choices([0, 1], [6, 3])[0], sorted(period_columns(period)))
    noun = g.noun_phrase(entity.name, filters)
    where = (*conditions(filters, period), *_standing(g, relation, entity, (), filters))
    query = Select(relation.fact, (name,), where, (name,), (condition,))
    pronoun = "who" if entity.said.person else "that"
    if g.chance(0.35):
        return Draft(ask_list(g, f"{noun} {pronoun} {predicate}", None, entity.said.person), query, ("having",))
    return Draft(ask_list(g, noun, predicate, entity.said.person), query, ("having",))


def count_having(g: Grammar) -> Draft | None:
    """How many customers placed more than 20 orders in 2025?"""
    counted = _counted(g)
    if counted is None:
        return None
    relation, entity, key, holder, held, period, condition, predicate = counted
    filters = g.filters(entity.name, g.random.choices([0, 1], [6, 3])[0])
    within = (*conditions((), period), *g.standing(relation.fact, ()))
    rows = Select(relation.fact, (column(holder, held),), within, (column(holder, held),), (condition,))
    subquery = rows.build(g.lexicon.graph)
    if subquery is None:
        return None
    inside = exp.In(this=column(entity.name, key), query=exp.Subquery(this=subquery))
    where = (*conditions(filters), *g.standing(entity.name, filters), inside)
    query = Select(entity.name, (exp.Count(this=exp.Star(), big_int=True),), where)
    return Draft(ask_how_many(g, g.noun_phrase(entity.name, filters), None, predicate), query, ("having", "count"))
