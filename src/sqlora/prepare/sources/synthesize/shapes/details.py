"""Details: rows of facts, what lies where, dates by something, bands of a number, and counts that include none."""

from __future__ import annotations

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import named
from sqlora.prepare.sources.synthesize.grammar import Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, TableWords
from sqlora.prepare.sources.synthesize.query import Select, column, identifier, table_node
from sqlora.prepare.sources.synthesize.shapes.figures import by_phrase, population, tables_of


def _facts(g: Grammar) -> list[TableWords]:
    """Tables whose rows have no name, but belong to something that has one."""
    return [table for table in g.lexicon.tables.values() if not table.display and _owners(g, table.name)]


def _owners(g: Grammar, fact: str) -> list[str]:
    """Named tables that a fact's rows belong to directly, where names are asked for."""
    targets = [edge.target for edge in g.lexicon.graph.edges[fact] if edge.target in g.lexicon.tables]
    return [name for name in targets if g.lexicon.tables[name].display and g.lexicon.tables[name].said.named_afar]


def _called(g: Grammar, owner: str) -> tuple[exp.Expr, str]:
    """One row of ``owner`` by its name: the condition, and "of Leeds Kirkgate"."""
    display = g.lexicon.display(owner)
    if not display.profile.values:
        return exp.true(), ""
    value = g.random.choice(display.profile.values)
    condition = exp.EQ(this=display.expression.copy(), expression=exp.Literal.string(str(value)))
    return condition, g.random.choice(named(g.lexicon, display, value, g.random).afar or (f"of {value}",))


def fact_rows(g: Grammar) -> Draft | None:
    """Date and status of the cancelled orders of Helen Reilly."""
    fact = g.weighted(_facts(g), lambda table: table.weight)
    condition, of = _called(g, g.random.choice(_owners(g, fact.name)))
    shown: list[ColumnWords] = []
    for _ in range(g.random.choices([1, 2, 3], [2, 4, 1])[0]):
        found = g.attribute_of(fact.name, "date", "category", "number")
        if found is not None and found not in shown:
            shown.append(found)
    if not shown or not of:
        return None
    about = [f"{each.table}.{each.name}" for each in shown]
    filters = [each for each in g.filters(fact.name, g.random.choices([0, 1], [6, 3])[0], about) if each.table == fact.name]
    period = g.period(g.lexicon.date_of(fact.name), 0.3)
    time = period.phrase if period else ""
    noun = g.noun_phrase(fact.name, filters)
    one = words.enumerate_words([g.pick(*each.nouns) for each in shown])
    many = words.enumerate_words([words.plural(each.nouns[0]) for each in shown])
    question = g.pick(
        f"{one} of the {noun} {of} {time}", f"list the {noun} {of} {time} with {one}", f"{many} of {noun} {of} {time}",
        f"show me {one} of all {noun} {of} {time}", f"what are the {many} of the {noun} {of} {time}?", f"{noun} {of} {time}: {one}",
    )  # fmt: skip
    where = (condition, *conditions(filters, period))
    return Draft(question, Select(fact.name, tuple(each.expression for each in shown), where), ("list", "facts"))


def where_it_lies(g: Grammar) -> Draft | None:
    """How many of a product each store has: a fact of two owners, one named, the other shown."""
    facts = [table for table in _facts(g) if len(_owners(g, table.name)) > 1 and g.lexicon.of_kind(table.name, "number")]
    fact = g.weighted(facts, lambda table: table.weight * (4 if len(g.lexicon.schema.table(table.name).primary_key) == 2 else 0.3))
    one, other = g.random.sample(_owners(g, fact.name), 2)
    condition, of = _called(g, one)
    numbers = [each for each in g.lexicon.of_kind(fact.name, "number", "date") if each.weight > 0]
    if not numbers or not of:
        return None
    number = g.weighted(numbers, lambda each: each.weight)
    noun, each = g.pick(*number.nouns), g.pick(*g.lexicon.tables[other].nouns)
    question = g.pick(f"{noun} {of} in each {each}", f"{each} and {noun} of all {g.pick(*fact.plurals)} {of}",
                      f"list every {each} with its {noun} {of}", f"{g.pick(*fact.plurals)} {of}: {each} and {noun}")  # fmt: skip
    shown = (g.lexicon.display(other).expression, number.expression)
    return Draft(question, Select(fact.name, shown, (condition,)), ("list", "facts"))


def dates_by(g: Grammar) -> Draft | None:
    """First order date of each gold customer; last count per store."""
    tables = [table for table in _facts(g) if g.lexicon.of_kind(table.name, "date")]
    table = g.weighted(tables, lambda each: each.weight)
    date = g.random.choice(g.lexicon.of_kind(table.name, "date"))
    owner = g.random.choice(_owners(g, table.name))
    filters = g.filters(table.name, g.random.choices([0, 1], [5, 5])[0], [f"{date.table}.{date.name}"])
    display = g.lexicon.display(owner)
    if any(f"{owner}.{display.name}" in found.about for found in filters):
        return None
    last = g.chance(0.6)
    word = g.pick("last", "latest", "most recent") if last else g.pick("first", "earliest")
    noun, each = g.pick(*date.nouns), g.pick(*g.lexicon.tables[owner].nouns)
    of = g.noun_phrase(table.name, filters)
    question = g.pick(f"{word} {noun} of {of} {g.pick('per', 'by', 'for each')} {each}", f"for each {each}, the {word} {noun} of {of}",
                      f"{each} and {word} {noun} of its {of}")  # fmt: skip
    value = (exp.Max if last else exp.Min)(this=date.expression.copy())
    query = Select(table.name, (display.expression, value), conditions(filters), (display.expression,))
    return Draft(question, query, ("breakdown", "date"))


def banded(g: Grammar) -> Draft | None:
    """Stores under 500, up to 2,000 and above, counted: CASE."""
    entity = g.entity()
    numbers = [each for each in g.lexicon.of_kind(entity.name, "number")
               if each.weight > 0 and len(each.profile.steps) > 10 and each.profile.distinct > 12 and not each.profile.missing]  # fmt: skip
    by = g.weighted(numbers, lambda each: each.weight)
    low, high = (words.nice(float(by.profile.steps[step])) for step in (g.random.randint(4, 8), g.random.randint(12, 16)))
    if low >= high:
        return None
    names = g.random.choice([("small", "medium", "large"), ("low", "medium", "high"), ("low", "mid", "high"), ("C", "B", "A")])
    under = exp.LT(this=by.expression.copy(), expression=exp.Literal.number(words.number(low)))
    over = exp.GT(this=by.expression.copy(), expression=exp.Literal.number(words.number(high)))
    if two := g.chance(0.35):
        names = (names[0], "", names[2])
    ifs = [exp.If(this=under, true=exp.Literal.string(names[0]))]
    if not two:
        ifs.append(exp.If(this=over, true=exp.Literal.string(names[2])))
    case = exp.Case(ifs=ifs, default=exp.Literal.string(names[2] if two else names[1]))
    noun, column_noun = g.pick(*entity.plurals), by.nouns[0]
    bands = f'"{names[0]}" under {words.number(low)}, '
    bands += f'else "{names[2]}"' if two else f'"{names[2]}" over {words.number(high)}, else "{names[1]}"'
    question = g.pick(f"number of {noun} by {column_noun}: {bands}", f"label {noun} by {column_noun} as {bands}, and count them",
                      f"how many {noun} are there per {column_noun} class, {bands}?")  # fmt: skip
    rows = exp.Count(this=exp.Star(), big_int=True)
    return Draft(question, Select(entity.name, (case, rows), tuple(g.standing(entity.name, ())), (case,)), ("breakdown", "case"))


def with_none(g: Grammar) -> Draft | None:
    """Every store with its number of employees, those without any too: LEFT JOIN."""
    edges = [edge for edges in g.lexicon.graph.edges.values() for edge in edges
             if len(edge.columns) == 1 and edge.source in g.lexicon.tables and edge.target in g.lexicon.tables
             and g.lexicon.tables[edge.target].display and g.lexicon.tables[edge.target].said.named_afar]  # fmt: skip
    edges = [edge for edge in edges if len(g.lexicon.schema.table(edge.source).primary_key) == 1]
    edge = g.weighted(edges, lambda each: g.lexicon.tables[each.target].weight)
    entity, fact = g.lexicon.tables[edge.target], g.lexicon.tables[edge.source]
    (held, key), counted = edge.columns[0], g.lexicon.schema.table(fact.name).primary_key[0]
    filters = [each for each in g.filters(fact.name, g.random.choices([0, 1], [5, 3])[0]) if each.table == fact.name]
    link = exp.EQ(this=column(entity.name, key), expression=column(fact.name, held))
    shared = {each.name for each in g.lexicon.schema.table(entity.name).columns} & {each.name for each in g.lexicon.schema.table(fact.name).columns}

    def plain(part: exp.Expr) -> exp.Expr:
        copy = part.copy()
        for node in copy.find_all(exp.Column):
            if node.name not in shared:
                node.set("table", None)
        return copy

    if counted in shared:
        return None
    name = plain(g.lexicon.display(entity.name).expression)
    on = exp.and_(*(plain(part) for part in (link, *conditions(filters), *g.standing(fact.name, filters))))
    query = exp.select(name, exp.Count(this=exp.Column(this=identifier(counted)), big_int=True))
    query = query.from_(table_node(g.lexicon.schema, entity.name)).group_by(name.copy())
    for condition in g.standing(entity.name, ()):
        query = query.where(plain(condition))
    query.append("joins", exp.Join(this=table_node(g.lexicon.schema, fact.name), side="LEFT", on=on))
    each, noun = g.pick(*entity.nouns), g.noun_phrase(fact.name, filters)
    many = words.plural(each)
    question = g.pick(
        f"every {each} with its number of {noun}, also {many} without any", f"number of {noun} per {each}, including {many} with none",
        f"how many {noun} does each {each} have? show those with zero too", f"{noun} per {each}, zeros included",
    )  # fmt: skip
    return Draft(question, query, ("breakdown", "left join"))


def known_only(g: Grammar) -> Draft | None:
    """Suppliers per rating, leaving out those without one."""
    measure = g.measure()
    if measure is None:
        return None
    found = [each for name in g.lexicon.graph.reach(measure.root) if name in g.lexicon.tables
             for each in g.lexicon.of_kind(name, "category", "number")
             if each.profile.missing and each.weight > 0 and (each.kind == "category" or each.is_dimension)]  # fmt: skip
    by = g.weighted(found, lambda each: each.weight * (3 if each.table == measure.root else 1))
    dimension = next((each for each, _ in g.dimensions(measure.root) if each.shown == (by.expression,)), None)
    if dimension is None or not g.fits(measure, tables_of(dimension)):
        return None
    period = g.period(measure.date, 0.3)
    noun = by.nouns[0]
    said = g.pick(f"ignoring those without {words.with_article(noun)}", f"leave out those without {words.with_article(noun)}",
                  f"only those with {words.with_article(noun)}", f"skip the ones without {words.with_article(noun)}")  # fmt: skip
    question = f"{g.figure(measure)} {by_phrase(g, [dimension])} {period.phrase if period else ''}, {said}"
    known = exp.Not(this=exp.Is(this=by.expression.copy(), expression=exp.Null()))
    where = (*population(g, measure, [], period), known)
    return Draft(question, Select(measure.root, (by.expression, measure.value), where, (by.expression,)), ("breakdown", "known"))
