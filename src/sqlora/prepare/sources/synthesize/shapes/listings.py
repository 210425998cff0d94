"""Lists of things, their number, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import Filter
from sqlora.prepare.sources.synthesize.frames import _POLITE, ask_how_many, ask_list
from sqlora.prepare.sources.synthesize.grammar import Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, TableWords
from sqlora.prepare.sources.synthesize.query import Select


def _filtered(g: Grammar, entity: TableWords, least: int = 1) -> tuple[list[Filter], tuple[exp.Expr, ...]]:
    filters = g.filters(entity.name, g.random.choices([least, least + 1, least + 2], [6, 3.5, 0.6])[0], listed=True)
    return filters, (*conditions(filters), *g.standing(entity.name, filters))


def _lifted(g: Grammar, entity: TableWords, filters: Sequence[Filter], where: Sequence[exp.Expr]) -> str:
    """Now and then, words that lift the standing condition; the caller then leaves it out."""
    standing = entity.standing
    if standing is not None and standing in where and entity.said.lifted and g.chance(0.06):
        return g.random.choice(entity.said.lifted)
    return ""


def listing(g: Grammar) -> Draft | None:
    """Which stores are in Leeds? The names alone."""
    entity = g.entity()
    filters, where = _filtered(g, entity)
    if not filters:
        return None
    lifted = _lifted(g, entity, filters, where)
    if lifted:
        where = conditions(filters)
    query = Select(entity.name, (g.lexicon.display(entity.name).expression,), where)
    own = [found for found in filters if found.table == entity.name]
    predicate = g.predicate(g.random.choice(own)) if own and not lifted and g.chance(0.5) else None
    if predicate:
        spoken = next(found for found in own if _spoken_by(predicate, found))
        noun = g.noun_phrase(entity.name, [found for found in filters if found is not spoken])
        if entity.said.person and g.chance(0.25) and noun in entity.plurals and entity.said.who:
            return Draft(f"{g.random.choice(entity.said.who)} {_for_one(predicate)}?", query, ("list",))
        return Draft(ask_list(g, noun, predicate, entity.said.person), query, ("list",))
    noun = f"{g.noun_phrase(entity.name, filters)} {lifted}"
    return Draft(ask_list(g, words.tidy(noun), None, entity.said.person), query, ("list",))


def _spoken_by(predicate: str, found: Filter) -> bool:
    said = [*found.said.verb, *found.said.phrase, *found.said.adjective]
    return any(predicate in (each, f"are {each}", f"have {each.removeprefix('with ')}") for each in said)


def _for_one(predicate: str) -> str:
    """``are in Leeds`` → ``is in Leeds``, as after "who"."""
    head, _, rest = predicate.partition(" ")
    changed = {"are": "is", "have": "has", "were": "was", "live": "lives", "work": "works", "earn": "earns", "belong": "belongs"}
    return f"{changed.get(head, head)} {rest}"


def count(g: Grammar) -> Draft | None:
    """How many suppliers are from China?"""
    entity = g.weighted(list(g.lexicon.tables.values()), lambda table: table.weight)
    filters, where = _filtered(g, entity, least=0 if g.chance(0.1) else 1)
    lifted = _lifted(g, entity, filters, where)
    if lifted:
        where = conditions(filters)
    query = Select(entity.name, (exp.Count(this=exp.Star(), big_int=True),), where)
    own = [found for found in filters if found.table == entity.name]
    predicate = g.predicate(g.random.choice(own)) if own and not lifted and g.chance(0.5) else None
    if predicate:
        spoken = next(found for found in own if _spoken_by(predicate, found))
        noun = g.noun_phrase(entity.name, [found for found in filters if found is not spoken])
        return Draft(ask_how_many(g, noun, None, predicate), query, ("count",))
    noun = f"{g.noun_phrase(entity.name, filters)} {lifted}"
    return Draft(ask_how_many(g, noun, None), query, ("count",))


def _shown(g: Grammar, entity: TableWords, count: int) -> list[tuple[ColumnWords, str]]:
    """Columns to show beside the name, of the entity or of what it belongs to, with the words for each."""
    shown: list[tuple[ColumnWords, str]] = []
    for _ in range(count):
        near = [name for name in g.lexicon.graph.reach(entity.name)[1:] if name in g.lexicon.tables and g.lexicon.tables[name].said.named_afar]
        if near and g.chance(0.25):
            owner = g.random.choice(near)
            if g.lexicon.tables[owner].display and g.chance(0.7):
                column, noun = g.lexicon.display(owner), g.pick(*g.lexicon.tables[owner].nouns)
            else:
                found = g.attribute_of(owner, "category")
                if found is None:
                    continue
                column, noun = found, g.pick(*found.afar)
        else:
            found = g.attribute_of(entity.name)
            if found is None:
                continue
            column, noun = found, g.pick(*found.nouns)
        if all(column is not other and noun != known for other, known in shown):
            shown.append((column, noun))
    return shown


def with_columns(g: Grammar) -> Draft | None:
    """List the bakers with their hourly wage: name, then what was asked for."""
    entity = g.entity()
    shown = _shown(g, entity, g.random.choices([1, 2, 3], [6, 3, 0.8])[0])
    if not shown:
        return None
    avoid = [f"{column.table}.{column.name}" for column, _ in shown]
    filters = g.filters(entity.name, g.random.choices([0, 1, 2], [1, 6, 2])[0], avoid, listed=True)
    where = (*conditions(filters), *g.standing(entity.name, filters))
    noun = g.noun_phrase(entity.name, filters)
    nouns = [noun_ for _, noun_ in shown]
    many = words.enumerate_words([words.plural(each) for each in nouns])
    one = words.enumerate_words(nouns)
    the = g.pick("", "all ", "the ") if not noun.startswith("all") else ""
    question = g.weighted(
        [
            (f"{g.pick('list', 'show me', 'show', 'give me', 'get')} {the}{noun} with their {one}", 3.0),
            (f"{g.pick('list', 'show me', 'show', 'give me')} the {words.enumerate_words(['name', *nouns])} of {g.pick('all ', 'the ', '')}{noun}", 3.0),
            (f"{words.enumerate_words(['names', *[words.plural(each) for each in nouns]])} of {noun}", 1.2),
            (f"{noun} and their {many}", 1.5),
            (f"{g.random.choice(_POLITE)} {the}{noun} {g.pick('with', 'along with', 'together with')} their {one}", 1.2),
            (f"{noun} with {one}", 0.8),
            (f"what are the names and {many} of {g.pick('the ', 'all ', '')}{noun}?", 0.8),
        ],
        lambda form: form[1],
    )[0]
    name = g.lexicon.display(entity.name).expression
    order: tuple[tuple[exp.Expr, bool], ...] = ()
    if g.chance(0.2):
        order, said = _sorted_by(g, entity, [column for column, _ in shown])
        question = question.rstrip("?") + said
        if order[0][0] != name and g.chance(0.15):
            order = (*order, (name, False))
            question += g.pick(" and then by name", ", then by name")
    query = Select(entity.name, (name, *(column.expression for column, _ in shown)), where, order=order)
    return Draft(question, query, ("list", "columns"))


def _sorted_by(
    g: Grammar, entity: TableWords, columns: Sequence[ColumnWords]
) -> tuple[tuple[tuple[exp.Expr, bool], ...], str]:
    ordered = [each for each in columns if each.kind in ("number", "date")]
    if ordered and g.chance(0.8):
        by = g.random.choice(ordered)
        noun, down = g.random.choice(by.nouns), g.chance(0.55)
        if by.kind == "date":
            said = g.pick(f", sorted by {noun}, newest first", ", newest first", ", latest first", ", most recent first") if down else g.pick(
                f", sorted by {noun}", f", ordered by {noun}", ", oldest first", ", earliest first")  # fmt: skip
        else:
            said = g.pick(", highest first", f", highest {noun} first", f", sorted by {noun} descending", f", by descending {noun}") if down else g.pick(
                f", sorted by {noun}", f", ordered by {noun}", f", lowest {noun} first", ", lowest first")  # fmt: skip
        return ((by.expression, down),), said
    name = g.lexicon.display(entity.name).expression
    return ((name, False),), g.pick(", in alphabetical order", ", sorted by name", ", alphabetically", ", ordered by name", ", A to Z")


def sorted_listing(g: Grammar) -> Draft | None:
    """Stores in Scotland by floor area, largest first: the names alone, in that order."""
    entity = g.entity()
    filters, where = _filtered(g, entity)
    noun = g.noun_phrase(entity.name, filters)
    name = g.lexicon.display(entity.name).expression
    about = {column for found in filters for column in found.about}
    columns = [each for each in g.lexicon.of_kind(entity.name, "number", "date")
               if each.weight > 0 and not each.profile.missing and f"{each.table}.{each.name}" not in about]  # fmt: skip
    if columns and g.chance(0.6):
        by, down = g.weighted(columns, lambda each: each.weight), g.chance(0.5)
        column = g.random.choice(by.nouns)
        if by.kind == "date":
            said = g.pick(f"sorted by {column}, newest first", f"by {column}, latest first") if down else g.pick(f"sorted by {column}", f"ordered by {column}, oldest first")
        else:
            said = g.pick(f"sorted by {column}, highest first", f"by descending {column}", f"from highest to lowest {column}") if down else g.pick(
                f"sorted by {column}", f"ordered by {column}", f"by {column}, lowest first", f"from lowest to highest {column}")  # fmt: skip
        order = ((by.expression, down),)
    else:
        order = ((name, False),)
        said = g.pick("in alphabetical order", "sorted by name", "alphabetically", "ordered by name", "from A to Z")
    question = g.pick(f"{g.pick('list', 'show me', 'show', 'give me')} {g.pick('', 'all ', 'the ')}{noun} {said}", f"{noun} {said}",
                      f"{g.random.choice(_POLITE)} {g.pick('all ', 'the ')}{noun} {said}")  # fmt: skip
    return Draft(question, Select(entity.name, (name,), where, order=order), ("list", "sorted"))


def distinct(g: Grammar) -> Draft | None:
    """Which cities do we have stores in?"""
    table = g.weighted(list(g.lexicon.tables.values()), lambda each: each.weight)
    column = g.attribute_of(table.name, "category")
    if column is None:
        return None
    about = [f"{column.table}.{column.name}"]
    filters = g.filters(table.name, g.random.choices([0, 1], [5, 3])[0], about)
    where = [*conditions(filters), *g.standing(table.name, filters)]
    if column.profile.missing:
        where.append(exp.Not(this=exp.Is(this=column.expression.copy(), expression=exp.Null())))
    noun = g.noun_phrase(table.name, filters)
    name = g.pick(*column.nouns)
    many = words.plural(name)
    if g.chance(0.22):
        value = exp.Count(this=exp.Distinct(expressions=[column.expression.copy()]))
        where = [*conditions(filters), *g.standing(table.name, filters)]
        question = g.pick(f"how many {g.pick('different', 'distinct', '')} {many} do {noun} have?",
                          f"number of {g.pick('distinct', 'different', 'unique')} {many} among {noun}",
                          f"how many {g.pick('different', 'distinct', '')} {many} are there among {g.pick('our ', 'the ', '')}{noun}?")  # fmt: skip
        return Draft(question, Select(table.name, (value,), tuple(where)), ("count", "distinct"))
    question = g.pick(
        f"which {g.pick('different ', '')}{many} do {noun} have?",
        f"what {many} are there {'among' if filters else 'for'} {noun}?",
        f"list the {g.pick('distinct', 'different', 'unique')} {many} of {noun}",
        f"show {g.pick('all ', 'the ')}{g.pick('distinct', 'different')} {many} of {noun}",
        f"all {g.pick('different', 'distinct')} {many} of {noun}",
    )
    return Draft(question, Select(table.name, (column.expression,), tuple(where), distinct=True), ("list", "distinct"))


def above_average(g: Grammar) -> Draft | None:
    """Products with a list price above average."""
    entity = g.entity()
    numbers = [each for each in g.lexicon.of_kind(entity.name, "number") if each.weight > 0]
    if not numbers:
        return None
    by, more = g.weighted(numbers, lambda each: each.weight), g.chance(0.72)
    about = [f"{node.table}.{node.name}" for node in by.expression.find_all(exp.Column)]
    filters = g.filters(entity.name, g.random.choices([0, 1], [6, 3])[0], about)
    # The average is over all of them, whatever else the question asks for, but leavers are no staff in either.
    standing = tuple(g.standing(entity.name, filters))
    # "Wines that cost more than the average wine" compares like with like.
    alike = bool(filters) and g.chance(0.5)
    among = (*conditions(filters), *standing) if alike else standing
    average = Select(entity.name, (exp.Avg(this=by.expression.copy()),), among).build(g.lexicon.graph)
    if average is None:
        return None
    kind = exp.GT if more else exp.LT
    condition = kind(this=by.expression.copy(), expression=exp.Subquery(this=average))
    noun, column = g.noun_phrase(entity.name, filters), g.random.choice(by.nouns)
    word = g.pick("above", "over", "higher than") if more else g.pick("below", "under", "lower than")
    general = g.pick("average", "the average", "the overall average") if not filters else g.pick(
        f"the average of all {entity.plurals[0]}", f"the average {column} of all {entity.plurals[0]}", "the overall average")  # fmt: skip
    if alike:
        general = g.pick(f"the average of {noun}", f"the average {column} of {noun}", f"the average for {noun}")
    verb = f"have {words.with_article(column)}"
    phrase = f"{words.with_article(column)} {word} {general}"
    asks_count = g.chance(0.22)
    where = (*conditions(filters), *standing, condition)
    if asks_count:
        question = g.pick(f"how many {noun} {verb} {word} {general}?", f"number of {noun} with {phrase}")
        return Draft(question, Select(entity.name, (exp.Count(this=exp.Star(), big_int=True),), where), ("count", "subquery"))
    question = g.pick(f"which {noun} {verb} {word} {general}?", f"{noun} with {phrase}",
                      f"{g.pick('list', 'show me', 'find', 'show')} {g.pick('all ', 'the ', '')}{noun} with {phrase}",
                      f"{noun} whose {column} is {word} {general}")  # fmt: skip
    return Draft(question, Select(entity.name, (g.lexicon.display(entity.name).expression,), where), ("list", "subquery"))
