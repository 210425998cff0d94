"""A business's own words, as a TOML file: what `synthesize` can't know from names and comments.

    [tables.store]                      # every key is optional, as is every section
    names = ["store", "shop"]           # singular; the first is the one used most
    display = "store_name"              # the column that names a row
    link = ["in", "at"]                 # how other facts hang on it: sales ___ hyper stores

    [columns."store.city"]
    names = ["city", "town"]            # as in "by city"; `afar` when the question is about another table's rows
    phrase = ["in {v}"]                 # stores ___      adjective = before it, verb = "which stores ___"
    values = {"York" = ["York", "Jorvik"]}

    [[measures]]
    table = "order_line"
    sql = "SUM(net_amount)"             # in the project's dialect
    names = ["sales", "revenue"]

    [[filters]]
    table = "order"
    sql = "customer_id IS NULL"
    adjective = ["walk-in"]

`Glossary` lists all sections and keys. Everything named is checked against the schema; a mistake is a ConfigError.
"""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from sqlora.errors import ConfigError
from sqlora.sql.schema import Schema

Words = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
MeasureKind = Literal["amount", "count", "average", "ratio"]


class Section(BaseModel):
    """A table of the file: no key that we don't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Phrasing(Section):
    """How a condition is said. ``{v}`` is the value, ``{n}`` a number.

    ``adjective`` stands before the noun (*gold* customers), ``phrase`` after it (customers *from Leeds*), ``verb`` is
    the predicate of "which customers …" (*live in Leeds*), ``noun`` stands for it (*students*, given in the singular), ``afar`` follows a measure of another table (sales *to gold
    customers*) and ``afar_adjective`` precedes it (*web* sales).
    """

    adjective: Words = ()
    phrase: Words = ()
    verb: Words = ()
    afar: Words = ()
    afar_adjective: Words = ()
    noun: Words = ()


class TableSection(Section):
    """Words for a table's rows."""

    names: Words = ()
    display: str | None = None
    link: Words = ()
    named_afar: bool = True  # whether other tables' questions show its names
    person: bool = False
    weight: float = 1.0
    date: str | None = None  # what dates its rows: "order_date", "order.order_date" of a table they belong to, or "none"
    standing: str | None = None  # a condition that holds unless the question says otherwise
    unless: Words = ()  # columns whose mention lifts it
    lifted: Words = ()  # phrases that lift it: "including leavers"
    who: Words = ()  # subjects of a question for one or more of them: "who"


class ColumnSection(Phrasing):
    """Words for a column and its values."""

    names: Words = ()
    afar_names: Words = ()
    values: dict[str, Words] = {}
    missing: Phrasing = Phrasing()
    present: Phrasing = Phrasing()
    above: Words = ()  # "costing more than {n}"
    below: Words = ()
    high: Words = ()  # "most expensive"
    low: Words = ()
    unit: Words = ()  # what follows a number of it: "euros"
    happened: Words = ()  # of a date: "joined", which a period follows
    kind: Literal["category", "number", "date", "text", "flag", "name", "hidden"] | None = None
    weight: float = 1.0
    weight_afar: float | None = None  # in questions about another table's rows; else as `weight`
    total: bool | None = None  # whether adding it up means something
    aggregate: bool = True  # whether its average, highest and lowest do
    dimension: bool | None = None  # whether figures are broken down by it; else where it has few values


class MeasureSection(Section):
    """A figure with a name."""

    table: str
    sql: str
    names: Words
    kind: MeasureKind = "amount"
    weight: float = 1.0
    only_with: Words = ()  # asked only together with one of these tables
    not_with: Words = ()
    asks: Words = ()  # whole openings of a question: "how many units were sold"
    date: str | None = None  # what a period is about, if not the table's date: "employee.hired_on"
    where: str | None = None
    event: bool = False  # counts what happened ("hires"): the table's standing condition does not hold


class FilterSection(Phrasing):
    """A condition with a name."""

    table: str
    sql: str
    weight: float = 1.0


class AttributeSection(Section):
    """A computed figure of a table's rows, used like a numeric column."""

    table: str
    sql: str
    names: Words
    above: Words = ()
    below: Words = ()
    high: Words = ()
    low: Words = ()
    unit: Words = ()
    weight: float = 1.0


class RelationSection(Section):
    """What a row of ``entity`` has to do with rows of ``fact``; ``{t}`` is a period, ``{object}`` something of it."""

    entity: str
    fact: str
    has: Words  # "placed an order"
    never: Words  # "never ordered"
    more: Words = ()  # "placed more than {n} orders"
    with_object: Words = ()  # "bought {object}"
    without_object: Words = ()
    object: str | None = None
    weight: float = 1.0


class JoinSection(Section):
    """A many-to-one join that no foreign key declares."""

    source: str  # "order.order_date"
    target: str  # "fiscal_calendar.calendar_date"


class Glossary(Section):
    """The whole file."""

    today: datetime.date | None = None
    functions: dict[str, str] = {}
    tables: dict[str, TableSection] = {}
    columns: dict[str, ColumnSection] = {}
    measures: tuple[MeasureSection, ...] = ()
    filters: tuple[FilterSection, ...] = ()
    attributes: tuple[AttributeSection, ...] = ()
    relations: tuple[RelationSection, ...] = ()
    joins: tuple[JoinSection, ...] = ()

    def table(self, name: str) -> TableSection:
        """What the file says about a table."""
        return self.tables.get(name, TableSection())

    def column(self, table: str, name: str) -> ColumnSection:
        """What the file says about a column."""
        return self.columns.get(f"{table}.{name}", ColumnSection())


def load_glossary(path: Path | None, schema: Schema) -> Glossary:
    """The glossary of ``path`` (an empty one for None); ConfigError lists all that is wrong with it."""
    if path is None:
        return Glossary()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the glossary {path}: {error.strerror}", "correct glossary in [[sources]]") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", "correct that line") from error
    try:
        glossary = Glossary.model_validate(raw)
    except ValidationError as error:
        raise _refusal(path, [_describe(item) for item in error.errors()]) from error
    if problems := _unknown_names(glossary, schema):
        raise _refusal(path, problems)
    return glossary


def _refusal(path: Path, problems: list[str]) -> ConfigError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigError("\n".join([f"{count} in the glossary {path}", *(f"  {problem}" for problem in problems)]))


def _describe(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
    return f"{key} = {str(item['input'])[:60]!r}: {message}"


def _unknown_names(glossary: Glossary, schema: Schema) -> list[str]:
    problems: list[str] = []

    def need_table(name: str, where: str) -> None:
        if schema.get(name) is None:
            problems.append(f"{where}: no table {name!r} in the database; it has {', '.join(schema.names)}")

    def need_column(name: str, where: str) -> None:
        table, _, column = name.rpartition(".")
        found = schema.get(table)
        if found is None:
            problems.append(f"{where}: write table.column; no table {table!r} in the database")
        elif found.get(column) is None:
            has = ", ".join(each.name for each in found.columns)
            problems.append(f"{where}: no column {column!r} in {table}; it has {has}")

    for name, table in glossary.tables.items():
        need_table(name, f"tables.{name}")
        if schema.get(name) is not None:
            if table.display:
                need_column(f"{name}.{table.display}", f"tables.{name}.display")
            if table.date and table.date != "none":
                need_column(table.date if "." in table.date else f"{name}.{table.date}", f"tables.{name}.date")
    for name in glossary.columns:
        need_column(name, f"columns.{name}")
    for index, measure in enumerate(glossary.measures):
        for table_name in (measure.table, *measure.only_with, *measure.not_with):
            need_table(table_name, f"measures.{index}")
        if measure.date:
            need_column(measure.date, f"measures.{index}.date")
    for index, named in enumerate(glossary.filters):
        need_table(named.table, f"filters.{index}")
    for index, attribute in enumerate(glossary.attributes):
        need_table(attribute.table, f"attributes.{index}")
    for index, relation in enumerate(glossary.relations):
        for table_name in filter(None, (relation.entity, relation.fact, relation.object)):
            need_table(table_name, f"relations.{index}")
    for index, join in enumerate(glossary.joins):
        need_column(join.source, f"joins.{index}.source")
        need_column(join.target, f"joins.{index}.target")
    return problems
