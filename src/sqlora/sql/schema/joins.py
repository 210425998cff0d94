"""Which tables can be joined, and the way from one to another."""

from __future__ import annotations

from collections import deque

from sqlora.sql.schema.schema import Schema, Table


def joins(schema: Schema) -> list[list[int]]:
    """For each table, the places of those it can be joined to: by foreign keys, and in a schema that declares none by
    names.

    A column that is called like another table's primary key (``store_id``) points there; where keys are called just
    ``id``, one that is called like the table (``store_id`` and ``stores.id``).
    """
    place = {id(table): number for number, table in enumerate(schema.tables)}
    found: list[set[int]] = [set() for _ in schema.tables]

    def join(one: int, other: int) -> None:
        if one != other:
            found[one].add(other)
            found[other].add(one)

    for number, table in enumerate(schema.tables):
        for key in table.foreign_keys:
            target = schema.get(key.table, key.namespace)
            if target is not None:
                join(number, place[id(target)])
    if not any(table.foreign_keys for table in schema.tables):
        owners = _owners(schema.tables)
        for number, table in enumerate(schema.tables):
            for column in table.columns:
                for other in owners.get(column.name.lower(), ()):
                    join(number, other)
    return [sorted(others) for others in found]


MOST_OWNERS = 4  # tables with a key of one name; more say that the name says nothing
PLAIN_KEYS = ("id", "key", "code", "uuid", "pk")


def _owners(tables: tuple[Table, ...]) -> dict[str, list[int]]:
    """Tables by the column names that point to their primary keys."""
    owners: dict[str, list[int]] = {}
    for number, table in enumerate(tables):
        if len(table.primary_key) != 1:
            continue
        key = table.primary_key[0].lower()
        names = [key]
        if key in PLAIN_KEYS:
            name = table.name.lower()
            names = [f"{each}{joint}{key}" for each in {name, name.removesuffix("s")} for joint in ("_", "")]
        for name in names:
            owners.setdefault(name, []).append(number)
    return {name: numbers for name, numbers in owners.items() if len(numbers) <= MOST_OWNERS}


def path(start: set[int], end: int, neighbours: list[list[int]], between: int) -> list[int] | None:
    """The shortest way from any of ``start`` to ``end``, both included, with at most ``between`` others on it; None if
    there is none.
    """
    came: dict[int, int | None] = dict.fromkeys(sorted(start))
    queue = deque((place, 0) for place in came)
    while queue:
        here, steps = queue.popleft()
        if here == end:
            way = [here]
            while (before := came[way[-1]]) is not None:
                way.append(before)
            return way
        if steps > between:
            continue
        for other in neighbours[here]:
            if other not in came:
                came[other] = here
                queue.append((other, steps + 1))
    return None
