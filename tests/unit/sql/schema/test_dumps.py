"""Schemas from what databases' own tools write, with all that is no schema in it."""

from __future__ import annotations

import contextlib
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.errors import SchemaError
from sqlora.sql.schema import Column, ForeignKey, Schema, Table

PG_DUMP = r"""
--
-- PostgreSQL database dump
--

\restrict abc

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: city; Type: TABLE; Schema: public; Owner: admin
--

CREATE TABLE public.city (
    city_id integer NOT NULL,
    region_id integer,
    city_name text DEFAULT 'x'::text,
    tags text[] DEFAULT '{}'::text[],
    at timestamp with time zone DEFAULT now() NOT NULL,
    kind public.mood
);


ALTER TABLE public.city OWNER TO admin;

--
-- Name: TABLE city; Type: COMMENT; Schema: public; Owner: admin
--

COMMENT ON TABLE public.city IS 'where we are';
COMMENT ON COLUMN public.city.kind IS 'by size; or not';

CREATE VIEW public.big AS
 SELECT city.city_id,
    city.city_name
   FROM public.city
  WHERE (city.city_name = 'a'::text);

CREATE TABLE public.visit (
    visit_id integer,
    day date
)
PARTITION BY RANGE (day);

CREATE TABLE public.visit_2025 (
    visit_id integer,
    day date
);
ALTER TABLE ONLY public.visit ATTACH PARTITION public.visit_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

COPY public.city (city_id, region_id, city_name) FROM stdin;
1	2	it's; a 'half "row
2	\N	x
\.


ALTER TABLE ONLY public.city
    ADD CONSTRAINT city_pkey PRIMARY KEY (city_id);
CREATE INDEX i ON public.city USING btree (city_name);
ALTER TABLE ONLY public.city
    ADD CONSTRAINT city_region_id_fkey FOREIGN KEY (region_id) REFERENCES public.region(region_id);
GRANT ALL ON TABLE public.city TO reader;
"""
MARIADB_DUMP = r"""
-- MariaDB dump 10.19
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
--
-- Table structure for table `city`
--

DROP TABLE IF EXISTS `city`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!40101 SET character_set_client = utf8 */;
CREATE TABLE `city` (
  `city_id` int(11) NOT NULL AUTO_INCREMENT,
  `region_id` int(11) DEFAULT NULL,
  `city_name` varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci DEFAULT NULL COMMENT 'as it calls; itself',
  `kind` enum('town','village') DEFAULT NULL,
  `at` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`)),
  PRIMARY KEY (`city_id`),
  UNIQUE KEY `u` (`city_name`),
  KEY `region_id` (`region_id`),
  FULLTEXT KEY `f` (`city_name`),
  CONSTRAINT `city_ibfk_1` FOREIGN KEY (`region_id`) REFERENCES `region` (`region_id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=31 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='where we are';
/*!40101 SET character_set_client = @saved_cs_client */;
LOCK TABLES `city` WRITE;
INSERT INTO `city` VALUES (1,2,'it\'s; a','town');
UNLOCK TABLES;
/*!50001 CREATE VIEW `big` AS SELECT
 1 AS `city_id`,
  1 AS `city_name` */;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` FUNCTION `spoil`() RETURNS int(11)
BEGIN DELETE FROM city; RETURN 1; END ;;
DELIMITER ;
"""
SSMS = r"""
SET ANSI_NULLS ON
GO
CREATE TABLE [dbo].[Order Details](
	[OrderID] [int] IDENTITY(1,1) NOT NULL,
	[Unit Price] [money] NOT NULL CONSTRAINT [DF] DEFAULT (0),
	[Name] [nvarchar](max) NULL,
	[When] [datetime2](7) NOT NULL,
 CONSTRAINT [PK_Order_Details] PRIMARY KEY CLUSTERED
(
	[OrderID] ASC
)WITH (PAD_INDEX = OFF, STATISTICS_NORECOMPUTE = OFF) ON [PRIMARY]
) ON [PRIMARY] TEXTIMAGE_ON [PRIMARY]
GO
ALTER TABLE [dbo].[Order Details]  WITH CHECK ADD  CONSTRAINT [FK] FOREIGN KEY([OrderID])
REFERENCES [dbo].[Orders] ([OrderID])
GO
EXEC sys.sp_addextendedproperty @name=N'x', @value=N'y'
GO
"""
SNOWFLAKE = r"""
create or replace TRANSIENT TABLE DB.ANALYTICS.ORDERS (
	ORDER_ID NUMBER(38,0) NOT NULL autoincrement start 1 increment 1 noorder COMMENT 'the key',
	STORE_ID NUMBER(38,0),
	V VARIANT,
	AT TIMESTAMP_NTZ(9) DEFAULT CURRENT_TIMESTAMP(),
	constraint PK primary key (ORDER_ID),
	foreign key (STORE_ID) references DB.ANALYTICS.STORES(STORE_ID)
)COMMENT='all orders'
;
create or replace view DB.ANALYTICS.BIG(
	ORDER_ID,
	STORE
) as select order_id, store_id from orders;
"""
SQLITE_DUMP = r"""
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE IF NOT EXISTS "the ""odd"" one" (a, "b c" TEXT DEFAULT 'x;y', [d e] INTEGER, `f` REAL, UNIQUE(a));
INSERT INTO x VALUES(1,'it''s');
CREATE TABLE sqlite_sequence(name,seq);
CREATE VIRTUAL TABLE f USING fts5(x);
CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END;
COMMIT;
"""
ORACLE = r"""
CREATE TABLE "SHOP"."ORDERS" ("ID" NUMBER(10,0) NOT NULL ENABLE, "D" DATE DEFAULT SYSDATE, "N" VARCHAR2(20 CHAR),
  CONSTRAINT "PK" PRIMARY KEY ("ID") USING INDEX PCTFREE 10 TABLESPACE "USERS" ENABLE
) SEGMENT CREATION IMMEDIATE PCTFREE 10 TABLESPACE "USERS";
COMMENT ON COLUMN "SHOP"."ORDERS"."N" IS 'name';
"""
BIGQUERY = r"""
CREATE TABLE `proj.shop.orders` (order_id INT64 NOT NULL OPTIONS(description="key"), items ARRAY<STRUCT<sku STRING, n INT64>>, d DATE, PRIMARY KEY (order_id) NOT ENFORCED)
PARTITION BY d CLUSTER BY order_id OPTIONS(description="all orders");
"""


def test_pg_dump() -> None:
    schema = Schema.from_ddl(PG_DUMP, "postgres")
    assert schema.names == ("city", "big", "visit")  # its data, headings, owners and the parts of a table are none
    city = schema.table("city")
    assert (city.comment, city.primary_key) == ("where we are", ("city_id",))
    assert city.foreign_keys == (ForeignKey(("region_id",), "region", ("region_id",)),)
    assert [column.type for column in city.columns] == ["INT", "INT", "TEXT", "TEXT[]", "TIMESTAMPTZ", "public.mood"]
    assert city.columns[5].comment == "by size; or not"
    assert schema.table("big").columns == (Column("city_id", "INT"), Column("city_name", "TEXT"))


def test_mariadb_dump() -> None:
    schema = Schema.from_ddl(MARIADB_DUMP, "mysql")
    assert schema.names == ("city",)
    city = schema.table("city")
    assert (city.comment, city.primary_key) == ("where we are", ("city_id",))
    assert city.foreign_keys == (ForeignKey(("region_id",), "region", ("region_id",)),)
    assert city.columns[2] == Column("city_name", "VARCHAR(40)", "as it calls; itself")


def test_sql_server_management_studio() -> None:
    [table] = Schema.from_ddl(SSMS, "tsql").tables
    assert table == Table(
        "Order Details",
        (
            Column("OrderID", "INTEGER", nullable=False),
            Column("Unit Price", "MONEY", nullable=False),
            Column("Name", "NVARCHAR(MAX)"),
            Column("When", "DATETIME2(7)", nullable=False),
        ),
        ("OrderID",),
        (ForeignKey(("OrderID",), "Orders", ("OrderID",)),),
    )


def test_snowflakes_get_ddl() -> None:
    orders, big = Schema.from_ddl(SNOWFLAKE, "snowflake").tables
    assert (orders.qualified_name, orders.comment, orders.primary_key) == (
        "ANALYTICS.ORDERS",
        "all orders",
        ("ORDER_ID",),
    )
    assert orders.foreign_keys == (ForeignKey(("STORE_ID",), "STORES", ("STORE_ID",), "ANALYTICS"),)
    assert orders.columns[0] == Column("ORDER_ID", "DECIMAL(38, 0)", "the key", nullable=False)
    assert [column.name for column in big.columns] == ["ORDER_ID", "STORE"]


def test_sqlites_dump() -> None:
    [table] = Schema.from_ddl(SQLITE_DUMP, "sqlite").tables
    assert table.name == 'the "odd" one'
    assert [(column.name, column.type) for column in table.columns] == [
        ("a", ""),
        ("b c", "TEXT"),
        ("d e", "INTEGER"),
        ("f", "REAL"),
    ]


def test_oracles_get_ddl() -> None:
    [table] = Schema.from_ddl(ORACLE, "oracle").tables
    assert (table.qualified_name, table.primary_key) == ("SHOP.ORDERS", ("ID",))
    assert table.columns[2] == Column("N", "VARCHAR2(20 CHAR)", "name")


def test_bigquery() -> None:
    [table] = Schema.from_ddl(BIGQUERY, "bigquery").tables
    assert (table.name, table.primary_key) == ("orders", ("order_id",))
    assert table.columns[1].type == "ARRAY<STRUCT<sku STRING, n INT64>>"


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT * FROM t", ["a:INT", "b:TEXT"]),
        ("SELECT t.*, 1 AS one FROM t", ["a:INT", "b:TEXT", "one:"]),
        ("SELECT a AS x, UPPER(b) AS y FROM t AS u", ["x:INT", "y:"]),
        ("WITH t AS (SELECT 1 AS z) SELECT z FROM t", ["z:"]),
        ("SELECT a FROM t UNION ALL SELECT 1", ["a:INT"]),
        ("SELECT u.a, v.b AS c FROM t u JOIN t v ON u.a = v.a", ["a:INT", "c:TEXT"]),
        ("WITH t AS (SELECT 1 AS z) SELECT * FROM t", None),
        ("SELECT * FROM elsewhere", None),
        ("SELECT a, a FROM t", None),
        ("SELECT UPPER(b) FROM t", None),
    ],
)
def test_a_view_is_read_where_its_query_tells_its_columns(query: str, columns: list[str] | None) -> None:
    schema = Schema.from_ddl(f"CREATE TABLE t (a INT, b TEXT); CREATE VIEW v AS {query}")
    found = schema.get("v")
    assert (found and [f"{column.name}:{column.type}" for column in found.columns]) == columns


@pytest.mark.parametrize(
    ("before", "comment"),
    [
        ("/*******************\n   Create Tables\n *******************/\n", ""),
        ("-- -------------\n-- Table `shop`.`store`\n-- -------------\n", ""),
        ("-- ===== Sales =====\n-- one row a store\n", "one row a store"),
        ("-- ----------------\n-- one row a store\n", "one row a store"),
        ("/* one row a store -- not a kiosk */", "one row a store -- not a kiosk"),
    ],
)
def test_banners_are_no_comments_on_a_table(before: str, comment: str) -> None:
    assert Schema.from_ddl(f"{before}CREATE TABLE store (id INT)").table("store").comment == comment


def test_what_a_tool_adds_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Schema.from_ddl(PG_DUMP, "postgres")
        Schema.from_ddl(SSMS, "tsql")
    assert not caplog.records


@pytest.mark.parametrize(
    ("ddl", "message"),
    [
        ("\n\nCREATE TABLE t (a INT) b INT c", r"line 3 of the DDL: this can't be understood"),
        ("CREATE TABLE t (a INT, (b INT)", "line 1, column"),
        ("CREATE TABLE t (" + "(" * 20_000, "nested too deeply|line 1"),
        ("CREATE TABLE t (a INT, b 'x", "can't be read"),
        ("\x00", "no CREATE TABLE|can't be read"),
    ],
)
def test_what_is_broken_is_said_where(ddl: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema.from_ddl(ddl)


PIECES = [
    "CREATE TABLE ",
    "t ",
    "(",
    ")",
    ",",
    ";",
    "a INT",
    " PRIMARY KEY",
    " (a)",
    "'",
    '"',
    "--",
    "/*",
    "*/",
    "\n",
    "REFERENCES ",
    "GO\n",
    "COPY t FROM stdin;\n",
    "\\.\n",
    "COMMENT ON TABLE t IS ",
    "ALTER TABLE t ADD ",
    "CREATE VIEW v AS SELECT ",
    "\ud800",
    "\x00",
    "🛒",
]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join),
    st.sampled_from(["duckdb", "postgres", "mysql", "tsql", "oracle"]),
)
def test_any_text_is_a_schema_or_one_error(ddl: str, dialect: str) -> None:
    with contextlib.suppress(SchemaError):
        assert Schema.from_ddl(ddl, dialect).tables


def test_a_foreign_key_that_is_declared_twice_is_one() -> None:
    ddl = """
    CREATE TABLE region (id INT PRIMARY KEY);
    CREATE TABLE store (id INT, region_id INT REFERENCES region, old_region INT REFERENCES region (id));
    ALTER TABLE store ADD CONSTRAINT a FOREIGN KEY (region_id) REFERENCES region (id);
    ALTER TABLE store ADD CONSTRAINT b FOREIGN KEY (Region_Id) REFERENCES Region (Id);
    """
    keys = (ForeignKey(("region_id",), "region", ("id",)), ForeignKey(("old_region",), "region", ("id",)))
    assert Schema.from_ddl(ddl, "mysql").table("store").foreign_keys == keys


def columns_of(schema: Schema, table: str) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in schema.table(table).columns]


def test_a_type_that_sqlglot_lacks_is_kept_as_it_is_written() -> None:
    ddl = """
    CREATE TABLE shop (id INT PRIMARY KEY, place point NOT NULL COMMENT 'where', area MultiPolygon, at geometry SRID 4326,
        weight strange(3, 4));
    CREATE TABLE other (x INT);
    """
    schema = Schema.from_ddl(ddl, "mysql")
    types = [("id", "INT"), ("place", "point"), ("area", "MultiPolygon"), ("at", "GEOMETRY"), ("weight", "strange(3, 4)")]
    assert columns_of(schema, "shop") == types
    assert schema.table("shop").columns[1] == Column("place", "point", "where", nullable=False)
    assert schema.names == ("shop", "other")
    assert Schema.from_ddl(schema.to_ddl(), "mysql") == schema


@pytest.mark.parametrize("type_", ["INT PRIMRY KEY", "VARCHAR(20) NOTT NULL", "!!"])
def test_a_misspelt_column_is_an_error_still(type_: str) -> None:
    with pytest.raises(SchemaError):
        Schema.from_ddl(f"CREATE TABLE shop (id {type_})", "mysql")


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        ("mv AS SELECT id, COUNT(*) AS n FROM shop GROUP BY id WITH DATA", [("id", "INT"), ("n", "")]),
        ("IF NOT EXISTS mv (a, b) USING heap WITH (fillfactor = 70) AS SELECT id, name FROM shop WITH NO DATA", [("a", "INT"), ("b", "TEXT")]),
        ("public.mv AS WITH q AS (SELECT id FROM shop) SELECT id FROM q", [("id", "")]),
    ],
)  # fmt: skip
def test_a_materialized_view_is_a_table(view: str, columns: list[tuple[str, str]]) -> None:
    ddl = f"CREATE TABLE shop (id INT, name TEXT); CREATE MATERIALIZED VIEW {view};"
    assert columns_of(Schema.from_ddl(ddl, "postgres"), "mv") == columns


@pytest.mark.parametrize(
    ("dialect", "statement", "names", "key"),
    [
        ("postgres", "CREATE TABLE copy (LIKE shop INCLUDING ALL)", ["id", "name"], ("id",)),
        ("postgres", "CREATE TABLE copy (a INT, LIKE public.shop, z INT)", ["a", "id", "name", "z"], ()),
        ("mysql", "CREATE TABLE IF NOT EXISTS copy LIKE shop", ["id", "name"], ("id",)),
        ("mysql", "CREATE TABLE copy (LIKE shop)", ["id", "name"], ("id",)),
        ("bigquery", "CREATE TABLE copy LIKE shop", ["id", "name"], ("id",)),
        ("duckdb", "CREATE TABLE copy (LIKE nosuch, a INT)", None, ()),  # half a table would be wrong
    ],
)
def test_a_table_like_another_has_its_columns(dialect: str, statement: str, names: list[str] | None, key: tuple[str, ...]) -> None:
    ddl = f"CREATE TABLE town (id INT); CREATE TABLE shop (id INT REFERENCES town (id), name STRING, PRIMARY KEY (id)); {statement}"
    table = Schema.from_ddl(ddl, dialect).get("copy")
    assert (None if table is None else [column.name for column in table.columns]) == names
    assert table is None or (table.primary_key, table.foreign_keys) == (key, ())
