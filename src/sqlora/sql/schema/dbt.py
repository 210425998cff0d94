"""dbt's `manifest.json` → Schema: models, seeds, snapshots and sources with their descriptions and keys.

Keys come from the contract's constraints and from the tests that people write instead: `unique` with `not_null` makes
a primary key, `relationships` a foreign one. Types come from the manifest (`data_type`), else from the `catalog.json`
that `dbt docs generate` leaves beside it; columns that only the catalog knows are in the schema too.
Formats: https://schemas.getdbt.com/dbt/manifest/v12.json, https://schemas.getdbt.com/dbt/catalog/v1.json
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlglot.dialects.dialect import Dialects

from sqlora.errors import SchemaError
from sqlora.sql.schema.ddl import canonical_type
from sqlora.sql.schema.folding import folded
from sqlora.sql.schema.schema import DEFAULT_NAMESPACES, Column, ForeignKey, Schema, Table

KINDS = ("model", "seed", "snapshot", "source")
QUOTES = ('"', "`", "]")
# dbt adapters that are not called like sqlglot's dialect.
ADAPTERS = {
    "sqlserver": "tsql",
    "synapse": "tsql",
    "fabric": "fabric",
    "oracledb": "oracle",
    "mariadb": "mysql",
    "glue": "spark",
}


def read_manifest(path: Path) -> Schema:
    """The tables and views that a dbt project makes and reads, in the order of the manifest.

    The dialect is the adapter's. Where all of them are in one schema of the warehouse, or in a default one, that is
    left out of their names. Ephemeral models are none. SchemaError for a file that is no manifest.
    """
    manifest = _read(path)
    dialect = _dialect(manifest, path)
    catalog_file = path.with_name("catalog.json")
    catalog = _read(catalog_file) if catalog_file.is_file() else {}
    known = {**_mapping(catalog, "nodes"), **_mapping(catalog, "sources")}
    relations: dict[str, _Relation] = {}
    for id, node in _nodes(manifest):
        if node.get("resource_type") in KINDS and _text(_mapping(node, "config"), "materialized") != "ephemeral":
            relations[id] = _relation(node, known.get(id), dialect)
    if not relations:
        raise SchemaError(f"{path} has no models, seeds, snapshots or sources", "dbt parse writes the manifest anew")
    for _, node in _nodes(manifest):
        if node.get("resource_type") == "test":
            _learn(node, relations)
    return _schema(relations, dialect)


@dataclass
class _Relation:
    """A table in the making; keys by ids of relations, which the tests name."""

    name: str
    namespace: str
    comment: str
    columns: dict[str, Column]
    primary: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)
    filled: set[str] = field(default_factory=set)
    foreign: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = field(default_factory=list)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            found = json.load(file)
    except json.JSONDecodeError as error:
        raise SchemaError(f"{path}:{error.lineno}: not JSON: {error.msg}", "dbt parse writes it anew") from None
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path} is not UTF-8 text (byte {error.start})", "dbt parse writes it anew") from None
    except RecursionError:
        raise SchemaError(f"{path} is nested too deeply to be dbt's", "dbt parse writes it anew") from None
    except OSError as error:
        raise SchemaError(f"{path} can't be read: {error.strerror}", "dbt parse writes target/manifest.json") from None
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise SchemaError(
            f"{path} is JSON, but not dbt's: it has no metadata", "name target/manifest.json of a dbt project"
        )
    return found


def _dialect(manifest: dict[str, Any], path: Path) -> str:
    adapter = _text(manifest["metadata"], "adapter_type").lower()
    name = ADAPTERS.get(adapter, adapter)
    if name not in {dialect.value for dialect in Dialects if dialect.value}:
        raise SchemaError(
            f"{path} is of the adapter {adapter or '(none)'!r}, whose SQL is not known", "take DDL instead"
        )
    return name


def _nodes(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in ("nodes", "sources"):
        for id, node in _mapping(manifest, section).items():
            if isinstance(node, dict):
                yield id, node


def _relation(node: dict[str, Any], known: Any, dialect: str) -> _Relation:
    columns: dict[str, Column] = {}
    quoted = _text(node, "relation_name")[-1:] in QUOTES
    relation = _Relation(
        _stored(_text(node, "identifier") or _text(node, "alias") or _text(node, "name"), quoted, dialect),
        _stored(_text(node, "schema"), quoted, dialect),
        _text(node, "description"),
        columns,
    )
    for written, column in _mapping(node, "columns").items():
        if isinstance(column, dict):
            name = _stored(_text(column, "name") or written, column.get("quote") is True, dialect)
            columns[name.lower()] = Column(
                name, canonical_type(_text(column, "data_type"), dialect), _text(column, "description")
            )
            for constraint in _list(column, "constraints"):
                _constrain(relation, constraint, (name,))
    for column in sorted(_catalogued(known), key=_place):
        name, type_ = _text(column, "name"), canonical_type(_text(column, "type"), dialect)
        there = columns.get(name.lower(), Column(name, "", _text(column, "comment")))
        columns[name.lower()] = replace(there, name=name, type=type_ or there.type)
    for constraint in _list(node, "constraints"):
        _constrain(relation, constraint, _names(constraint, "columns"))
    return relation


def _stored(name: str, quoted: bool, dialect: str) -> str:
    """The name as the warehouse has it, in whose SQL dbt writes it."""
    return name if quoted else folded(name, dialect)


def _catalogued(known: Any) -> list[dict[str, Any]]:
    found = _mapping(known, "columns") if isinstance(known, dict) else {}
    return [column for column in found.values() if isinstance(column, dict) and _text(column, "name")]


def _place(column: dict[str, Any]) -> int:
    found = column.get("index")
    return found if isinstance(found, int) else 0


def _constrain(relation: _Relation, constraint: dict[str, Any], columns: tuple[str, ...]) -> None:
    kind = _text(constraint, "type")
    if kind == "primary_key" and columns:
        relation.primary = columns
    elif kind == "not_null":
        relation.filled |= {name.lower() for name in columns}
    elif kind == "foreign_key" and columns:
        target, names = _text(constraint, "to"), _names(constraint, "to_columns")
        if not target:  # the old way: expression = "warehouse.stores (store_id)"
            found = re.match(
                r"\s*(?:references\s+)?([\w.\"`\[\]]+)\s*\(([^)]*)\)", _text(constraint, "expression"), re.IGNORECASE
            )
            target = found[1] if found else ""
            names = tuple(re.findall(r"\w+", found[2])) if found else ()
        if target:
            relation.foreign.append((columns, target, names))


def _learn(test: dict[str, Any], relations: dict[str, _Relation]) -> None:
    """What a generic test says about the keys of the relation that it is attached to."""
    about, arguments = _mapping(test, "test_metadata"), _mapping(_mapping(test, "test_metadata"), "kwargs")
    arguments = {**arguments, **_mapping(arguments, "arguments")}
    relation = relations.get(_text(test, "attached_node"))
    column = _text(test, "column_name") or _text(arguments, "column_name")
    kind = _text(about, "name")
    if relation is None:
        return
    if kind == "not_null" and column:
        relation.filled.add(column.lower())
    elif kind == "unique" and column:
        relation.unique.append((column,))
    elif kind == "unique_combination_of_columns":
        relation.unique.append(_names(arguments, "combination_of_columns"))
    elif kind == "relationships" and column:
        others = [id for id in _names(_mapping(test, "depends_on"), "nodes") if id != _text(test, "attached_node")]
        target = others[0] if others else _text(test, "attached_node")  # or to itself: a tree
        relation.foreign.append(((column,), target, (_text(arguments, "field"),)))


def _schema(relations: dict[str, _Relation], dialect: str) -> Schema:
    spaces = {relation.namespace for relation in relations.values()}
    hidden = spaces if len(spaces) == 1 else {space for space in spaces if space.lower() in DEFAULT_NAMESPACES}
    by_name = {name: relation for relation in relations.values() for name in _called(relation)} | relations
    tables = [_table(relation, by_name, hidden) for relation in relations.values()]
    return Schema(tuple(table for table in tables if table.columns), dialect)


def _called(relation: _Relation) -> tuple[str, str]:
    return relation.name.lower(), f"{relation.namespace}.{relation.name}".lower()


def _table(relation: _Relation, by_name: Mapping[str, _Relation], hidden: set[str]) -> Table:
    primary = relation.primary or _only_key(relation)
    never = {name.lower() for name in primary} | relation.filled
    columns = tuple(replace(column, nullable=key not in never) for key, column in relation.columns.items())
    foreign = []
    for names, target, target_names in relation.foreign:
        other = by_name.get(target) or by_name.get(_bare(target))
        if other is not None and all(name.lower() in relation.columns for name in names):
            space = "" if other.namespace in hidden else other.namespace
            foreign.append(ForeignKey(_spelled(names, relation), other.name, _spelled(target_names, other), space))
    space = "" if relation.namespace in hidden else relation.namespace
    keys = _spelled(primary, relation), tuple(dict.fromkeys(foreign))
    return Table(relation.name, columns, *keys, relation.comment, space)


def _spelled(names: Sequence[str], relation: _Relation) -> tuple[str, ...]:
    """The columns' names as the relation has them."""
    found = [(name, relation.columns.get(name.lower())) for name in names]
    return tuple(column.name if column else name for name, column in found)


def _only_key(relation: _Relation) -> tuple[str, ...]:
    """The columns that are unique and never NULL, where there is one such set of them."""
    keys = [
        names for names in dict.fromkeys(relation.unique) if names and {n.lower() for n in names} <= relation.filled
    ]
    return keys[0] if len(keys) == 1 else ()


def _bare(target: str) -> str:
    """`ref('stores')` and "db"."warehouse"."stores" → stores."""
    words: list[str] = re.findall(r"\w+", target)
    return words[-1].lower() if words else ""


def _mapping(item: Any, key: str) -> dict[str, Any]:
    found = item.get(key) if isinstance(item, dict) else None
    return found if isinstance(found, dict) else {}


def _list(item: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = item.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _names(item: dict[str, Any], key: str) -> tuple[str, ...]:
    found = item.get(key)
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _text(item: dict[str, Any], key: str) -> str:
    found = item.get(key)
    return " ".join(found.split()) if isinstance(found, str) else ""
