"""sqlora.toml → `Project`: every setting checked once, all mistakes shown at once.

A setting comes from the command line, else the environment (``SQLORA_TRAIN__RECIPE=demo`` is ``recipe`` in
``[train]``), else ``sqlora.toml``, else its default. Whatever fails names the key, the value and its origin.
Paths in the file are relative to the file's folder. State lives beside the file in ``.sqlora``
(`StateFolder`), caches in the user's cache folder (`cache_folder`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlora.errors import ConfigError
from sqlora.settings import (
    AwsSection,
    CostSection,
    DatabaseSection,
    DeploySection,
    EvaluateSection,
    PrepareSection,
    ServeSection,
    Settings,
    SourceSection,
    TrainSection,
    VllmSection,
)
from sqlora.settings_file import FILE_NAME, read_settings

if TYPE_CHECKING:
    from sqlora.prompting import SchemaPrompt
    from sqlora.sql.dialect import Dialect
    from sqlora.sql.execute import Database
    from sqlora.sql.schema import Schema

STATE_NAME = ".sqlora"


def cache_folder() -> Path:
    """Where base models are cached: ``$SQLORA_CACHE``, else the user's cache folder for sqlora."""
    if chosen := os.environ.get("SQLORA_CACHE"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("sqlora"))


@dataclass(frozen=True)
class StateFolder:
    """The paths inside a project's ``.sqlora`` folder; nothing is created by asking."""

    path: Path

    @property
    def database(self) -> Path:
        """SQLite file with jobs, models, deployments and usage."""
        return self.path / "state.db"

    def dataset(self, id: str) -> Path:
        """``{train,validation,test}.jsonl``, ``card.json``, ``examples.jsonl``."""
        return self.path / "datasets" / id

    def job(self, id: str) -> Path:
        """``spec.json``, ``metrics.jsonl``, ``worker.log``, ``checkpoint/``."""
        return self.path / "jobs" / id

    def model(self, id: str) -> Path:
        """``adapter_model.safetensors``, ``adapter_config.json``, ``manifest.json``."""
        return self.path / "models" / id

    def deployment(self, id: str) -> Path:
        """The deployment's prefix cache."""
        return self.path / "deployments" / id

    def evaluation(self, id: str) -> Path:
        """``report.json``, ``report.html``."""
        return self.path / "evaluations" / id


@dataclass(frozen=True)
class Project:
    """A folder with a sqlora.toml, its settings checked. Get one from `load_project`."""

    folder: Path
    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def file(self) -> Path:
        """The project file."""
        return self.folder / FILE_NAME

    @property
    def state(self) -> Path:
        """The state folder, ``.sqlora`` beside the project file."""
        return self.folder / STATE_NAME

    @property
    def paths(self) -> StateFolder:
        """The paths inside the state folder."""
        return StateFolder(self.state)

    @property
    def name(self) -> str:
        """``[project] name``, else the folder's name."""
        return self.settings.project.name or self.folder.name

    @property
    def dialect_name(self) -> str:
        """``[project] dialect`` as it was written."""
        return self.settings.project.dialect

    @property
    def database(self) -> DatabaseSection:
        """``[database]``."""
        return self.settings.database

    @property
    def sources(self) -> tuple[SourceSection, ...]:
        """``[[sources]]``, in the file's order; a path with ``*`` or ``?`` stands for its files, in order of name.

        ConfigError when it matches none.
        """
        return tuple(each for source in self.settings.sources for each in source.each_file())

    @property
    def prepare(self) -> PrepareSection:
        """``[prepare]``."""
        return self.settings.prepare

    @property
    def train(self) -> TrainSection:
        """``[train]``."""
        return self.settings.train

    @property
    def recipe_name(self) -> str:
        """``[train] recipe``, or what goes with the model: Nova's rates do not train a small one."""
        nova = self.train.backend in ("bedrock", "sagemaker") and self.aws.model.startswith("amazon.")
        return self.train.recipe or ("nova" if nova else "standard")

    @property
    def deploy(self) -> DeploySection:
        """``[deploy]``."""
        return self.settings.deploy

    @property
    def evaluate(self) -> EvaluateSection:
        """``[evaluate]``."""
        return self.settings.evaluate

    @property
    def aws(self) -> AwsSection:
        """``[aws]``."""
        return self.settings.aws

    @property
    def vllm(self) -> VllmSection:
        """``[vllm]``."""
        return self.settings.vllm

    @property
    def cost(self) -> CostSection:
        """``[cost]``."""
        return self.settings.cost

    @property
    def serve(self) -> ServeSection:
        """``[serve]``."""
        return self.settings.serve

    def origin(self, key: str) -> str:
        """Where the setting ``train.recipe`` (say) came from: file and line, environment, …, or default."""
        return self.origins.get(key, "default")

    def dialect(self) -> Dialect:
        """The dialect of questions and answers; DialectError when its file is at fault."""
        from sqlora.sql.dialect import load_dialect

        return load_dialect(self.dialect_name, self.folder)

    def open_database(self, *, isolated: bool = False) -> Database:
        """The project's database, opened to read only; DatabaseError when it isn't there.

        With ``isolated`` in a process of its own, for SQL of whatever origin (`sqlora.sql.execute.isolated`).
        """
        if self.database.url is None:
            raise ConfigError(
                f"{self.file} names no database",
                'add [database] with url = "duckdb:///warehouse.duckdb" to the file',
            )
        if isolated:
            from sqlora.sql.execute.isolated import IsolatedDatabase

            return IsolatedDatabase(self.database.url, self.folder)
        from sqlora.sql.execute import open_database

        return open_database(self.database.url, self.folder)

    def schema(self) -> Schema:
        """The schema of the project's database, read anew; see `read_schema`."""
        with self.open_database() as database:
            return self.read_schema(database)

    def read_schema(self, database: Database) -> Schema:
        """The database's schema, with sample values where ``[prepare] sample_values`` asks for them."""
        from sqlora.sql.schema.samples import with_samples

        schema, most = database.schema(), self.prepare.sample_values
        return with_samples(schema, database, most) if most else schema

    def schema_prompt(self, schema: Schema | None = None, dialect: Dialect | None = None) -> SchemaPrompt:
        """The system texts that questions about ``schema`` come with; by default those of the project's database."""
        from sqlora.prompting import SchemaPrompt

        section = self.prepare
        dialect = dialect or self.dialect()
        schema = self.schema() if schema is None else schema
        return SchemaPrompt(dialect, schema, section.schema_style, section.schema_tokens)


def load_project(
    folder: Path | str | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Project:
    """Read the project file of ``folder`` (default: here) or of the nearest folder above it.

    ``overrides`` are the command line's, by dotted key: ``{"train.recipe": "demo"}``; None means not given.
    Raises ConfigError, which lists every mistake.
    """
    file = find_project_file(folder)
    settings, origins = read_settings(file, overrides or {}, os.environ if environ is None else environ)
    return Project(file.parent, settings, origins)


def find_project_file(folder: Path | str | None = None) -> Path:
    """The sqlora.toml of ``folder`` (default: here) or the nearest folder above; ConfigError if none."""
    start = Path.cwd() if folder is None else Path(folder).expanduser().absolute()
    if start.is_file():
        return start
    for candidate in (start, *start.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    raise ConfigError(f"no {FILE_NAME} in {start} or any folder above it", "sqlora init --example retail")
