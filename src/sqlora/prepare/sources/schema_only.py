"""Source ``schema-only``: questions and queries drawn from a schema alone, without a row of anybody's data.

The schema is a file of CREATE TABLE statements or dbt's manifest.json, or that of the project's database. It is filled
with invented rows (`sqlora.prepare.sources.invented`), over which the grammar of `synthesize` draws; the values that
its questions name are made up, the tables, columns and joins are not.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlora.errors import ConfigError, SchemaError
from sqlora.prepare.sources.candidates import Found
from sqlora.prepare.sources.invented import in_types_of, invent_database, invent_rows, quarter
from sqlora.prepare.sources.synthesize import synthesize
from sqlora.sql.dialect import load_dialect
from sqlora.sql.execute import open_database
from sqlora.sql.schema import Schema

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.settings import SourceSection

FOLDER = "invented"


def read_schema_only(source: SourceSection, project: Project, name: str, schema: Schema | None = None) -> Found:
    """Candidates without end, over the schema of ``source.path``, else over ``schema``, the project's.

    The invented database stays in the project's state folder, for the checker to run the queries on. ConfigError where
    there is neither, SchemaError for a file that holds none.
    """
    dialect = project.dialect()
    written_in = load_dialect(source.written_in, project.folder) if source.written_in else dialect
    known = read_schema_file(source.path, written_in.base) if source.path else schema
    if known is None:
        raise ConfigError("a schema-only source needs a schema", "give it a path to DDL or to dbt's manifest.json")
    known = in_types_of(known, dialect.base)
    engine = "sqlite" if dialect.base == "sqlite" else "duckdb"
    day = quarter()
    rows = invent_rows(known, day)
    file = invent_database(known, rows, project.state / FOLDER, engine, day)
    url = f"{engine}:///{quote(str(file.absolute()))}"
    ddl, own_url = (known.to_ddl(), url) if source.path else (None, None)
    with open_database(url) as database:
        drawn = synthesize(known, database, dialect, source.glossary, source.seed, source.split, name, rows)
        for candidate in drawn:
            yield replace(candidate, needs_rows=False, ddl=ddl, database=own_url)


def read_schema_file(path: Path, dialect: str) -> Schema:
    """The schema in a file of DDL, in ``dialect``, or in dbt's manifest.json; SchemaError when it holds none."""
    if path.suffix.lower() == ".json":
        from sqlora.sql.schema.dbt import read_manifest

        return read_manifest(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path} is not UTF-8 text (byte {error.start})", "save the file as UTF-8") from error
    except OSError as error:
        raise SchemaError(f"cannot read {path}: {error.strerror}", "correct path in [[sources]]") from error
    try:
        return Schema.from_ddl(text, dialect)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error.message}", error.next_step) from error
