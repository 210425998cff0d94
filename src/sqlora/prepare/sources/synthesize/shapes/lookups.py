"""Look-ups: what is known of one thing, the first and last date of something, what an order with a number holds."""

from __future__ import annotations

import datetime

from sqlglot import exp

from sqlora.prepare.sources.synthesize import words
from sqlora.prepare.sources.synthesize.filters import spoken_value
from sqlora.prepare.sources.synthesize.frames import ask_for
from sqlora.prepare.sources.synthesize.grammar import Draft, Grammar, conditions
from sqlora.prepare.sources.synthesize.lexicon import ColumnWords, TableWords
from sqlora.prepare.sources.synthesize.periods import Period, day_literal, from_until
from sqlora.prepare.sources.synthesize.query import Select, column
from sqlora.prepare.sources.synthesize.shapes.figures import tables_of

_FINITE = {"joined": "join", "left": "leave", "started": "start", "ended": "end", "started working": "start working",
           "signed up": "sign up", "registered": "register", "began": "begin", "expired": "expire", "quit": "quit"}  # fmt: skip


def attribute(g: Grammar) -> Draft | None:
    """What is the list price of Windmere Wool Sheet?"""
    entity = g.entity()
    name = g.lexicon.display(entity.name)
    if not name.profile.values:
        return None
    if name.kind == "date":
        return _of_date(g, entity, name)
    value = g.random.choice(name.profile.values)
    spoken = spoken_value(name, value, g.random)
    where = (exp.EQ(this=name.expression.copy(), expression=exp.Literal.string(str(value))),)
    near = [table for table in g.lexicon.graph.reach(entity.name)[1:] if table in g.lexicon.tables and g.lexicon.tables[table].said.named_afar]
    if near and g.chance(0.35):
        owner = g.random.choice(near)
        if g.lexicon.tables[owner].display and g.chance(0.9):
            shown, noun = g.lexicon.display(owner), g.pick(*g.lexicon.tables[owner].nouns)
        else:
            found = g.attribute_of(owner, "category")
            if found is None:
                return None
            shown, noun = found, g.pick(*found.afar)
        question = g.pick(f"which {noun} does {spoken} belong to?" if g.lexicon.tables[owner].display == shown.name else f"{noun}, {spoken}", f"what is the {noun} of {spoken}?", f"{noun} of {spoken}",
                          f"{spoken}: which {noun}?", f"tell me the {noun} of {spoken}")  # fmt: skip
        return Draft(question, Select(entity.name, (shown.expression,), where), ("lookup",))
    found = g.attribute_of(entity.name)
    computed = g.lexicon.attributes.get(entity.name)
    if computed and g.chance(0.12):
        found = g.random.choice(computed)
    if found is None:
        return None
    if g.chance(0.14) and (other := g.attribute_of(entity.name)) and other is not found:
        one, two = g.pick(*found.nouns), g.pick(*other.nouns)
        question = g.pick(f"what are the {one} and {two} of {spoken}?", f"{one} and {two} of {spoken}", f"show {one} and {two} for {spoken}",
                          f"give me the {one} and the {two} of {spoken}")  # fmt: skip
        return Draft(question, Select(entity.name, (found.expression, other.expression), where), ("lookup", "columns"))
    return Draft(_ask(g, found, spoken), Select(entity.name, (found.expression,), where), ("lookup",))


def _ask(g: Grammar, found: ColumnWords, spoken: str) -> str:
    noun = g.pick(*found.nouns)
    if found.kind == "date" and found.said.happened and g.chance(0.7):
        verb = g.random.choice(found.said.happened)
        if verb in _FINITE:
            return g.pick(f"when did {spoken} {_FINITE[verb]}?", f"on what date did {spoken} {_FINITE[verb]}?")
        return g.pick(f"when was {spoken} {verb}?", f"on which date was {spoken} {verb}?", f"{noun} of {spoken}")
    are = "are" if noun.endswith("s") and not noun.endswith("ss") else "is"
    possessive = spoken + ("'" if spoken.endswith("s") else "'s")
    return g.pick(f"what {are} the {noun} of {spoken}?", f"{noun} of {spoken}", f"what {noun} does {spoken} have?",
                  f"tell me the {noun} of {spoken}", f"what {are} {possessive} {noun}?", f"{spoken} {noun}",
                  f"can you look up the {noun} of {spoken}?", f"I need the {noun} for {spoken}", f"look up {possessive} {noun}")  # fmt: skip


def _of_date(g: Grammar, entity: TableWords, date: ColumnWords) -> Draft | None:
    """Rows that are called by their date, as a calendar's: which week is 14 June in, when does week 10 begin and end."""
    classes = [each for each in g.lexicon.of_kind(entity.name, "number", "category") if each.is_dimension and each.weight > 0]
    if not classes:
        return None
    if g.chance(0.5):
        found = g.weighted(classes, lambda each: each.weight)
        noun = g.pick(*found.nouns)
        value: exp.Expr = g.lexicon.functions.today()
        following: exp.Expr = g.lexicon.functions.shifted("add_days", 1)
        spoken = g.pick("today", "the business date")
        if g.chance(0.85):
            day = datetime.date.fromisoformat(str(g.random.choice(date.profile.values))[:10])
            value, following = day_literal(day), day_literal(day + datetime.timedelta(days=1))
            spoken = words.spoken_date(day, g.random)
        question = g.pick(f"which {noun} is {spoken} in?", f"what {noun} is {spoken} in?", f"{noun} of {spoken}", f"which {noun} does {spoken} fall in?",
                          f"in which {noun} is {spoken}?")  # fmt: skip
        is_day = from_until(date.expression, value, following) if date.profile.timed else exp.EQ(this=date.expression.copy(), expression=value)
        return Draft(question, Select(entity.name, (found.expression,), conditions((), Period("", is_day))), ("lookup",))
    chosen = g.random.sample(classes, min(len(classes), g.random.choice([1, 2, 2])))
    year = [each for each in classes if each.profile.distinct <= 4]
    if year and year[0] not in chosen:
        chosen = [chosen[0], year[0]]
    picked = [(each, g.random.choice(each.profile.values)) for each in chosen]
    where = tuple(exp.EQ(this=each.expression.copy(), expression=exp.Literal.number(str(value))) for each, value in picked)
    what = " of ".join(f"{each.nouns[0]} {value}" for each, value in picked)
    low, high = exp.Min(this=date.expression.copy()), exp.Max(this=date.expression.copy())
    if g.chance(0.3):
        first = g.chance(0.5)
        question = g.pick(f"{'first' if first else 'last'} day of {what}", f"when does {what} {'start' if first else 'end'}?")
        return Draft(question, Select(entity.name, (low if first else high,), where), ("lookup", "date"))
    question = g.pick(f"when does {what} start and end?", f"first and last day of {what}", f"from when to when is {what}?", f"which dates does {what} cover, start and end?")
    return Draft(question, Select(entity.name, (low, high), where), ("lookup", "date"))


def extreme_date(g: Grammar) -> Draft | None:
    """When was the last order of a gold customer?"""
    tables = [table for table in g.lexicon.tables.values() if g.lexicon.of_kind(table.name, "date")]
    if not tables:
        return None
    table = g.weighted(tables, lambda each: each.weight)
    date = g.weighted(g.lexicon.of_kind(table.name, "date"), lambda each: each.weight)
    last = g.chance(0.62)
    about = [f"{date.table}.{date.name}"]
    filters = g.filters(table.name, g.random.choices([0, 1, 2], [2, 6, 1])[0], about)
    verb = g.random.choice(date.said.happened) if date.said.happened else ""
    if not verb or any(found.table != date.table and found.table not in tables_of(filters) for found in filters):
        return None
    value = (exp.Max if last else exp.Min)(this=date.expression.copy())
    noun = g.noun_phrase(table.name, filters, plural=False)
    word = g.pick("last", "most recent", "latest") if last else g.pick("first", "earliest")
    where = (*conditions(filters), *g.standing(table.name, [*filters]))
    if verb in _FINITE:
        question = g.pick(f"when did the {word} {noun} {_FINITE[verb]}?", f"what is the date the {word} {noun} {verb}?")
    else:
        question = g.pick(f"when was the {word} {noun} {verb}?", f"when was the {word} {noun}?" if g.lexicon.graph.edges[table.name] and not table.display
                          else f"when was the {word} {noun} {verb}?", f"date of the {word} {noun}" if not table.display else
                          f"on what date was the {word} {noun} {verb}?")  # fmt: skip
    return Draft(question, Select(table.name, (value,), where), ("lookup", "date"))


def by_key(g: Grammar) -> Draft | None:
    """What is the status of order 1234? Which products are in it?"""
    tables = [table for table in g.lexicon.tables.values() if not table.display and len(_key(g, table.name)) == 1]
    if not tables:
        return None
    table = g.weighted(tables, lambda each: each.weight)
    key = _key(g, table.name)[0]
    values = g.lexicon.columns[table.name][key].profile.values
    if not values or not all(isinstance(value, int) for value in values):
        return None
    number = int(g.random.choice(values))
    noun, spoken = g.pick(*table.nouns), g.pick(str(number), str(number), f"#{number}", f"no. {number}", f"number {number}")
    of = f"{noun} {spoken}"
    draw = g.random.random()
    if draw < 0.4 and (draft := _children(g, table.name, key, number, of)):
        return draft
    here = (exp.EQ(this=column(table.name, key), expression=exp.Literal.number(str(number))),)
    if draw < 0.6:
        owners = [owner for owner in g.lexicon.graph.reach(table.name)[1:] if owner in g.lexicon.tables and g.lexicon.tables[owner].display and g.lexicon.tables[owner].said.named_afar]
        if owners:
            owner = g.random.choice(owners)
            shown, name = g.lexicon.display(owner).expression, g.pick(*g.lexicon.tables[owner].nouns)
            question = g.pick(f"which {name} does {of} belong to?", f"which {name} is {of} from?",
                              f"{name} of {of}", f"what is the {name} of {of}?")  # fmt: skip
            return Draft(question, Select(table.name, (shown,), here), ("lookup", "key"))
    shown_columns = [each for each in g.lexicon.columns[table.name].values() if each.kind in ("category", "date", "number")]
    if not shown_columns:
        return None
    chosen = g.random.choice(shown_columns)
    name = g.pick(*chosen.nouns)
    are = "are" if name.endswith("s") and not name.endswith("ss") else "is"
    question = g.pick(f"what {are} the {name} of {of}?", f"{name} of {of}", f"look up the {name} of {of}", f"{of}: {name}?",
                      f"tell me the {name} for {of}", f"check the {name} of {of}")  # fmt: skip
    if chosen.kind == "date" and chosen.said.happened and g.chance(0.7):
        question = f"when was {of} {g.random.choice(chosen.said.happened)}?"
    return Draft(question, Select(table.name, (chosen.expression,), here), ("lookup", "key"))


def _key(g: Grammar, table: str) -> tuple[str, ...]:
    return g.lexicon.schema.table(table).primary_key


def _children(g: Grammar, table: str, key: str, number: int, of: str) -> Draft | None:
    """A figure or the things of the rows that belong to one row: "total of order 17", "products in order 17"."""
    children = [edge for edges in g.lexicon.graph.edges.values() for edge in edges if edge.target == table and len(edge.columns) == 1]
    if not children:
        return None
    edge = g.random.choice(children)
    if edge.source not in g.lexicon.tables:
        return None
    here = (exp.EQ(this=column(edge.source, edge.columns[0][0]), expression=exp.Literal.number(str(number))),)
    measures = [each for each in g.lexicon.measures if each.root == edge.source and each.kind in ("amount", "count") and not each.only_with]
    owners = [other.target for other in g.lexicon.graph.edges[edge.source]
              if other.target != table and other.certain and g.lexicon.tables[other.target].display]  # fmt: skip
    if owners and g.chance(0.55):
        owner = g.lexicon.tables[g.random.choice(owners)]
        shown: tuple[exp.Expr, ...] = (g.lexicon.display(owner.name).expression,)
        many = g.pick(*owner.plurals)
        numbers = [each for each in g.lexicon.of_kind(edge.source, "number") if each.weight > 0]
        question = g.pick(f"which {many} are in {of}?", f"{many} in {of}", f"list the {many} of {of}", f"what {many} does {of} have?",
                          f"show me the {many} in {of}")  # fmt: skip
        if numbers and g.chance(0.4):
            extra = g.random.choice(numbers)
            shown = (*shown, extra.expression)
            question = f"{g.pick('list', 'show', 'give me')} the {many} in {of} with their {g.pick(*extra.nouns)}"
        return Draft(question, Select(edge.source, shown, here), ("lookup", "key"))
    if not measures:
        return None
    measure = g.weighted(measures, lambda each: each.weight)
    noun = f"{g.pick(*g.lexicon.tables[edge.source].plurals)}" if measure.counts_rows else g.random.choice(measure.names)
    if measure.counts_rows:
        question = g.pick(f"how many {noun} does {of} have?", f"number of {noun} in {of}", f"how many {noun} are there for {of}?")
    else:
        question = ask_for(g, f"{noun} of {of}")
    return Draft(words.tidy(question), Select(edge.source, (measure.value,), here), ("lookup", "key"))
