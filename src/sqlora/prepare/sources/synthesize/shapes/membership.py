"""Who did and who never did: entities by the facts that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import Filter
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
    if found.about == {f"{relation.object}.{name}"} and isinstance(found.condition, exp.EQ) and found.said.phrase:
        spoken = found.said.phrase[0].removeprefix("called ").removeprefix("named ")
        return g.random.choice(forms).replace("{object}", spoken), filters
    return g.random.choice(forms).replace("{object}", g.noun_phrase(relation.object, filters)), filters


def _predicate(template: str, period: Period | None) -> str:
    return words.tidy(template.replace("{t}", period.phrase if period else ""))


def _draft(
    g: Grammar, entity: TableWords, predicate: str, where: tuple[exp.Expression, ...], filters: Sequence[Filter], tags: tuple[str, ...]
) -> Draft:
    """Names, or how many, of the entities for which ``predicate`` holds."""
    noun = g.noun_phrase(entity.name, filters)
    full = (*conditions(filters), *g.standing(entity.name, filters), *where)
    if g.chance(0.27):
        query = Select(entity.name, (exp.Count(this=exp.Star(), big_int=True),), full)
        return Draft(ask_how_many(g, noun, None, predicate), query, (*tags, "count"))
    query = Select(entity.name, (g.lexicon.display(entity.name).expression,), full)
    pronoun = "who" if entity.said.person else "that"
    if g.chance(0.3) and not predicate.startswith("have been"):
        noun = f"{noun} {pronoun} {predicate}"
        return Draft(ask_list(g, noun, None, entity.said.person), query, (*tags, "list"))
    if entity.said.who and g.chance(0.15) and not filters and predicate.split()[0] not in ("have", "are", "do"):
        return Draft(f"{g.random.choice(entity.said.who)} {predicate}?", query, (*tags, "list"))
    return Draft(ask_list(g, noun, predicate, entity.said.person), query, (*tags, "list"))


def has(g: Grammar) -> Draft | None:
    """Customers who bought wine last month."""
    chosen = _relation(g)
    if chosen is None:
        return None
    relation, entity, key, holder, held = chosen
    period = g.period(relation.fact, 0.6)
    objects = _objects(g, relation, relation.with_object) if g.chance(0.6) else None
    if period is None and objects is None and g.chance(0.6):
        return None
    template, inner = objects or (g.random.choice(relation.has), [])
    template = template if "{t}" in template else f"{template} {{t}}"
    filters = g.filters(entity.name, g.random.choices([0, 1], [6, 3])[0])
    rows = Select(relation.fact, (column(holder, held),), (*conditions(inner, period), *_known(g, holder, held, False)))
    subquery = rows.build(g.lexicon.graph)
    if subquery is None:
        return None
    condition = exp.In(this=column(entity.name, key), query=exp.Subquery(this=subquery))
    return _draft(g, entity, _predicate(template, period), (condition,), filters, ("membership",))


def _known(g: Grammar, table: str, name: str, needed: bool) -> tuple[exp.Expression, ...]:
    """The key IS NOT NULL, where NULLs would count (NOT IN, groups)."""
    found = g.lexicon.schema.table(table).get(name)
    if needed and found is not None and found.nullable:
        return (exp.Not(this=exp.Is(this=column(table, name), expression=exp.Null())),)
    return ()


def never(g: Grammar) -> Draft | None:
    """Products never sold: NOT EXISTS, which NULLs can't spoil as they do NOT IN."""
    chosen = _relation(g)
    if chosen is None:
        return None
    relation, entity, key, holder, held = chosen
    period = g.period(relation.fact, 0.55)
    objects = _objects(g, relation, relation.without_object) if g.chance(0.35) else None
    template, inner = objects or (g.random.choice(relation.never), [])
    template = template if "{t}" in template else f"{template} {{t}}"
    if any(found.table == entity.name for found in inner):
        return None
    filters = g.filters(entity.name, g.random.choices([0, 1], [5, 4])[0])
    link = exp.EQ(this=column(holder, held), expression=column(entity.name, key))
    rows = Select(relation.fact, (exp.Literal.number("1"),), (link, *conditions(inner, period)), outer=(entity.name,))
    subquery = rows.build(g.lexicon.graph)
    if subquery is None:
        return None
    condition = exp.Not(this=exp.Exists(this=subquery))
    return _draft(g, entity, _predicate(template, period), (condition,), filters, ("membership", "never"))


def _counted(g: Grammar) -> tuple[RelationSection, TableWords, str, str, str, Period | None, exp.Expression, str] | None:
    chosen = _relation(g)
    if chosen is None or not chosen[0].more:
        return None
    relation, entity, key, holder, held = chosen
    period = g.period(relation.fact, 0.5)
    rows = exp.Count(this=exp.Star(), big_int=True)
    values = g.spread(Select(relation.fact, (rows,), conditions((), period), (column(holder, held),)))
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
    query = Select(relation.fact, (name,), conditions(filters, period), (name,), (condition,))
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
    rows = Select(relation.fact, (column(holder, held),), conditions((), period), (column(holder, held),), (condition,))
    subquery = rows.build(g.lexicon.graph)
    if subquery is None:
        return None
    inside = exp.In(this=column(entity.name, key), query=exp.Subquery(this=subquery))
    where = (*conditions(filters), *g.standing(entity.name, filters), inside)
    query = Select(entity.name, (exp.Count(this=exp.Star(), big_int=True),), where)
    return Draft(ask_how_many(g, g.noun_phrase(entity.name, filters), None, predicate), query, ("having", "count"))
