"""What ``sqlora dialect list`` and ``show`` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sqlora.cli.output import print_fields, print_table, printable, warn

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.sql.dialect import Dialect

# The same things said in every dialect; as DuckDB writes them.
SAMPLES = {
    "names": 'SELECT "unit price" FROM "order"',
    "first rows": "SELECT name FROM item ORDER BY price DESC LIMIT 5",
    "skipped rows": "SELECT name FROM item ORDER BY price LIMIT 5 OFFSET 10",
    "texts": "SELECT first || ' ' || last FROM person WHERE last ILIKE 'o''n%'",
    "missing values": "SELECT COALESCE(email, 'none') FROM person WHERE NOT phone IS NULL",
    "dates": "SELECT CAST(sold_on AS DATE) + INTERVAL '30' DAY FROM sale WHERE sold_on >= DATE '2025-01-01'",
    "days between": "SELECT DATE_DIFF('DAY', ordered_on, shipped_on) FROM sale",
    "months": "SELECT DATE_TRUNC('MONTH', sold_on), SUM(amount) FROM sale GROUP BY DATE_TRUNC('MONTH', sold_on)",
    "types": "SELECT CAST(amount AS DECIMAL(9, 2)), CAST(code AS VARCHAR) FROM sale",
    "choices": "SELECT CASE WHEN amount > 100 THEN 'large' ELSE 'small' END FROM sale",
    "lists": "SELECT STRING_AGG(name, ', ' ORDER BY name), COUNT(DISTINCT city) FROM store",
    "windows": "SELECT name FROM item QUALIFY ROW_NUMBER() OVER (PARTITION BY kind ORDER BY price DESC) = 1",
    "set operators": "SELECT city FROM store EXCEPT SELECT city FROM warehouse",
    "truth": "SELECT name FROM store WHERE is_open = TRUE",
}
# What is behind the names that do not say it themselves.
TITLES = {
    "athena": "Amazon Athena", "bigquery": "Google BigQuery", "dax": "Power BI's formulas, to read only",
    "databricks": "Databricks SQL", "doris": "Apache Doris", "drill": "Apache Drill", "druid": "Apache Druid",
    "dune": "Dune Analytics", "fabric": "Microsoft Fabric", "hive": "Apache Hive", "mysql": "MySQL and MariaDB",
    "oracle": "Oracle Database", "postgres": "PostgreSQL", "prql": "PRQL, to read only", "redshift": "Amazon Redshift",
    "singlestore": "SingleStore", "solr": "Apache Solr", "spark": "Apache Spark 3", "spark2": "Apache Spark 2",
    "tableau": "Tableau's formulas", "tsql": "Microsoft SQL Server, Azure SQL",
}  # fmt: skip
# sqlglot's dialects whose engines run here, the query's own SQL unchanged.
HERE = {"duckdb": "DuckDB", "sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MySQL, MariaDB"}


def known_dialects(project: Project | None) -> list[dict[str, str]]:
    """Name, kind, base, where its queries run, description: the project's, those shipped, sqlglot's."""
    from sqlglot.dialects.dialect import Dialects

    from sqlora.errors import DialectError
    from sqlora.sql.dialect import load_dialect
    from sqlora.sql.dialect.shipped import shipped_dialects

    found = []
    if project is not None and project.dialect_name.endswith(".toml"):
        try:
            found.append(_row(project.dialect(), "project"))
        except DialectError as error:
            warn(error.message)
    found += [_row(load_dialect(name), "spec") for name in shipped_dialects()]
    names = sorted(each.value for each in Dialects if each.value)
    return found + [
        {"name": name, "kind": "sqlglot", "base": name, "runs": _runs(name), "description": TITLES.get(name, "")}
        for name in names
    ]


def _row(dialect: Dialect, kind: str) -> dict[str, str]:
    description = dialect.spec.description if dialect.spec else ""
    return {
        "name": dialect.name, "kind": kind, "base": dialect.base, "runs": _runs(dialect.base),
        "description": description,
    }  # fmt: skip


def _runs(base: str) -> str:
    return HERE.get(base, "DuckDB, translated")


def describe(dialect: Dialect) -> dict[str, Any]:
    """The dialect's rules, and `SAMPLES` as it writes them."""
    described: dict[str, Any] = {"name": dialect.name, "base": dialect.base, "runs": _runs(dialect.base)}
    if dialect.spec is not None:
        described |= dialect.spec.model_dump(exclude={"name", "base"}, by_alias=True, exclude_none=True)
    else:
        described |= _facts(dialect)
    samples = {what: _sample(sql, dialect) for what, sql in SAMPLES.items()}
    described["samples"] = {what: text for what, (text, _) in samples.items()}
    described["not_said"] = {what: why for what, (_, why) in samples.items() if why}
    return described


def _facts(dialect: Dialect) -> dict[str, Any]:
    """What sqlglot knows of a dialect of its own."""
    import sqlglot

    base = sqlglot.Dialect.get_or_raise(dialect.base)
    texts = [quote if isinstance(quote, str) else quote[0] for quote in base.tokenizer_class.QUOTES]
    nulls = {
        "nulls_are_small": "first when ascending", "nulls_are_large": "last when ascending", "nulls_are_last": "last",
    }  # fmt: skip
    folds = {
        "LOWERCASE": "folded to lower case", "UPPERCASE": "folded to upper case", "CASE_SENSITIVE": "kept",
        "CASE_INSENSITIVE": "does not matter",
    }  # fmt: skip
    return {
        "identifier_quotes": [base.IDENTIFIER_START, base.IDENTIFIER_END],
        "string_quotes": texts,
        "name_case": folds.get(base.normalization_strategy.name, base.normalization_strategy.name.lower()),
        "nulls": nulls.get(base.NULL_ORDERING, base.NULL_ORDERING),
        "keywords_known": len(base.tokenizer_class.KEYWORDS),
        "functions_known": len(base.parser_class.FUNCTIONS),
    }


def _sample(sql: str, dialect: Dialect) -> tuple[str | None, str]:
    """A query of DuckDB's as the dialect writes it; else None, and why not."""
    from sqlglot.errors import SqlglotError

    from sqlora.errors import DialectError
    from sqlora.sql.dialect import load_dialect
    from sqlora.sql.roundtrip import reason_of
    from sqlora.sql.translate import instability, translate

    duckdb = load_dialect("duckdb")
    try:
        text, unsupported = translate(duckdb.parse(sql), duckdb, dialect)
    except DialectError as error:
        return None, reason_of(error)
    except (SqlglotError, ValueError) as error:
        return None, str(error)
    why = unsupported[0][1] if unsupported else instability(text, dialect)
    return (None, why) if why else (text, "")


def print_dialect(described: dict[str, Any]) -> None:
    """Plain values as fields, mappings as tables, then the samples."""
    rest = {key: value for key, value in described.items() if key not in ("samples", "not_said")}
    print_fields({key: _plain(value) for key, value in rest.items() if not isinstance(value, dict)})
    for section, values in rest.items():
        if isinstance(values, dict) and values:
            width = max(len(key) for key in values)
            click.echo(f"\n{click.style(section.replace('_', ' '), bold=True)}")
            for key, value in values.items():
                click.echo(f"  {printable(key.ljust(width))}  {printable(_text(value))}")
    print_table(
        ["for example", described["name"]],
        [[what, sql or f"– {described['not_said'][what]}"] for what, sql in described["samples"].items()],
    )


def _plain(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
