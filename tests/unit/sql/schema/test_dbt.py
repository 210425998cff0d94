"""Schemas from dbt's manifest.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.errors import SchemaError
from sqlora.sql.schema import Column, ForeignKey, Schema
from sqlora.sql.schema.dbt import read_manifest


def node(kind: str, name: str, columns: dict[str, Any] | None = None, **fields: Any) -> tuple[str, dict[str, Any]]:
    id = f"{kind}.shop.{name}"
    return id, {
        "unique_id": id,
        "resource_type": kind,
        "name": name,
        "schema": "analytics",
        "columns": columns or {},
    } | fields


def column(name: str, type: str | None = None, description: str = "", **fields: Any) -> dict[str, Any]:
    return {name: {"name": name, "data_type": type, "description": description, **fields}}


def check(
    kind: str, on: str, column: str | None = None, others: tuple[str, ...] = (), **kwargs: Any
) -> tuple[str, dict[str, Any]]:
    id = f"test.shop.{kind}_{on}_{column}_{sorted(kwargs.items())}"
    return id, {
        "unique_id": id, "resource_type": "test", "name": kind, "column_name": column, "attached_node": on,
        "test_metadata": {"name": kind, "kwargs": kwargs}, "depends_on": {"nodes": [*others, on]},
    }  # fmt: skip


def manifest(*nodes: tuple[str, dict[str, Any]], adapter: str = "duckdb") -> dict[str, Any]:
    return {
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json", "adapter_type": adapter},
        "nodes": {id: found for id, found in nodes if found["resource_type"] != "source"},
        "sources": {id: found for id, found in nodes if found["resource_type"] == "source"},
    }


def read(folder: Path, found: object, catalog: object = None) -> Schema:
    (folder / "manifest.json").write_text(json.dumps(found))
    if catalog is not None:
        (folder / "catalog.json").write_text(json.dumps(catalog))
    return read_manifest(folder / "manifest.json")


def test_models_with_descriptions_types_and_keys_from_tests(tmp_path: Path) -> None:
    orders, stores = "model.shop.orders", "model.shop.stores"
    schema = read(
        tmp_path,
        manifest(
            node(
                "model",
                "stores",
                column("store_id", "integer", "key") | column("city", "varchar(20)"),
                description="where\n  we sell",
            ),
            node(
                "model", "orders", column("order_id", "integer") | column("store_id", "integer") | column("parent_id")
            ),
            node("model", "passing", column("x"), config={"materialized": "ephemeral"}),
            node("macro", "m"),
            check("unique", stores, "store_id"),
            check("not_null", stores, "store_id"),
            check("not_null", stores, "city"),
            check("unique", orders, "order_id"),
            check("relationships", orders, "store_id", (stores,), to="ref('stores')", field="store_id"),
            check("relationships", orders, "parent_id", to="ref('orders')", field="order_id"),
        ),
    )
    assert schema.dialect == "duckdb"
    assert schema.names == ("stores", "orders")
    assert schema.table("stores").comment == "where we sell"
    assert schema.table("stores").columns == (
        Column("store_id", "INT", "key", nullable=False),
        Column("city", "TEXT", nullable=False),
    )
    assert schema.table("stores").primary_key == ("store_id",)
    assert schema.table("orders").primary_key == ()  # it may be NULL, as far as anybody tests
    assert schema.table("orders").foreign_keys == (
        ForeignKey(("store_id",), "stores", ("store_id",)),
        ForeignKey(("parent_id",), "orders", ("order_id",)),
    )
    assert Schema.from_ddl(schema.to_ddl(), "duckdb") == schema


def test_keys_from_constraints(tmp_path: Path) -> None:
    key = {"type": "foreign_key", "columns": ["store_id"], "to": "db.analytics.stores", "to_columns": ["store_id"]}
    schema = read(
        tmp_path,
        manifest(
            node("model", "stores", column("store_id", "int", constraints=[{"type": "primary_key"}, {"type": "not_null"}])),
            node("model", "lines", column("order_id", "int") | column("line", "int") | column("store_id", "int"),
                 constraints=[{"type": "primary_key", "columns": ["order_id", "line"]}, key]),
            node("model", "notes", column("store_id", "int", constraints=[{"type": "foreign_key", "expression": '"db"."analytics"."stores" (store_id)'}])),
        ),
    )  # fmt: skip
    assert schema.table("stores").primary_key == ("store_id",)
    assert schema.table("lines").primary_key == ("order_id", "line")
    assert (
        schema.table("lines").foreign_keys
        == schema.table("notes").foreign_keys
        == (ForeignKey(("store_id",), "stores", ("store_id",)),)
    )


def test_sources_have_their_identifier_and_schemas_are_named_where_there_are_several(tmp_path: Path) -> None:
    schema = read(
        tmp_path,
        manifest(
            node("model", "stores", column("id"), alias="dim_stores"),
            node("source", "raw_orders", column("id"), identifier="ORDERS", schema="raw"),
        ),
    )
    assert schema.names == ("analytics.dim_stores", "raw.ORDERS")
    assert schema.get("orders", "raw") is not None


def test_the_catalog_beside_it_knows_the_types_and_columns_that_nobody_described(tmp_path: Path) -> None:
    catalog = {"metadata": {}, "nodes": {"model.shop.stores": {"columns": {
        "CITY": {"name": "CITY", "type": "TEXT", "index": 2, "comment": "town"}, "STORE_ID": {"name": "STORE_ID", "type": "NUMBER", "index": 1},
    }}}}  # fmt: skip
    stores = node("model", "stores", column("store_id", None, "key"))
    schema = read(tmp_path, manifest(stores, adapter="snowflake"), catalog)
    assert schema.table("STORES").columns == (
        Column("STORE_ID", "DECIMAL(38, 0)", "key"),
        Column("CITY", "VARCHAR", "town"),
    )


def test_names_are_as_the_warehouse_has_them(tmp_path: Path) -> None:
    """dbt writes them without quotes for Snowflake, unless told otherwise, and folds none in the manifest."""
    key = {"type": "foreign_key", "columns": ["store_id"], "to": "db.analytics.stores", "to_columns": ["store_id"]}
    columns = column("store_id", "int", constraints=[{"type": "primary_key"}]) | column("Floor", quote=True)
    schema = read(
        tmp_path,
        manifest(
            node("model", "stores", columns, relation_name="db.analytics.stores"),
            node("model", "Visits", column("store_id"), relation_name='"db"."analytics"."Visits"', constraints=[key]),
            adapter="snowflake",
        ),
    )
    assert schema.names == ("ANALYTICS.STORES", "analytics.Visits")
    assert [found.name for found in schema.tables[0].columns] == ["STORE_ID", "Floor"]
    assert schema.tables[0].primary_key == ("STORE_ID",)
    assert schema.tables[1].foreign_keys == (ForeignKey(("STORE_ID",), "STORES", ("STORE_ID",), "ANALYTICS"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "manifest.json:1: not JSON"),
        ('{"metadata": {}\n, x', "manifest.json:2: not JSON"),
        ("[]", "not dbt's"),
        ('{"nodes": {}}', "not dbt's"),
        ('{"metadata": {"adapter_type": "punchcards"}, "nodes": {}}', "the adapter 'punchcards'"),
        ('{"metadata": {"adapter_type": "duckdb"}, "nodes": {}}', "has no models"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ("\x00", "not JSON"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(SchemaError, match=message):
        read_manifest(tmp_path / "manifest.json")


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="can't be read") as caught:
        read_manifest(tmp_path / "manifest.json")
    assert "dbt parse" in str(caught.value.next_step)
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SchemaError, match="not UTF-8"):
        read_manifest(tmp_path / "manifest.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "name",
    "to_columns",
    "kwargs",
    "columns",
    "schema",
    "resource_type",
    "constraints",
    "test_metadata",
    "attached_node",
    "depends_on",
    "column_name",
    "config",
]


@pytest.mark.parametrize("odd", [5, None, "x", {"a": 1}, [5, None], [["a"]]])
def test_lists_that_are_none_are_left_out(tmp_path: Path, odd: Any) -> None:
    stores, index = "model.shop.stores", {"CITY": {"name": "CITY", "type": "TEXT", "index": odd}}
    constraints = [{"type": "primary_key", "columns": odd}, {"type": "foreign_key", "columns": ["a"], "to": "b", "to_columns": odd}]
    found = manifest(
        node("model", "stores", column("a") | column("b"), constraints=constraints),
        check("unique_combination_of_columns", stores, combination_of_columns=odd),
        check("relationships", stores, "a", to="x", field="b"),
    )
    found["nodes"][next(id for id in found["nodes"] if "relationships" in id)]["depends_on"] = {"nodes": odd}
    catalog = {"metadata": {}, "nodes": {stores: {"columns": index | {"B": {"name": "B", "type": "TEXT", "index": 1}}}}}
    assert {name.lower() for name in read(tmp_path, found, catalog).names} == {"stores"}


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), st.sampled_from(["model", "test", "source"]))
def test_a_node_of_any_shape_is_read_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, junk: dict[str, Any], kind: str
) -> None:
    good = node("model", "stores", column("store_id"))
    bad = ("odd", node(kind, "odd", column("x"), attached_node=good[0])[1] | junk)
    found = manifest(good)
    found["nodes"]["odd"] = bad[1]
    assert read(tmp_path_factory.mktemp("dbt"), found).get("stores") is not None
