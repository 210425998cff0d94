"""The tables and keys of sqlora.toml, with their defaults, limits and meaning; `sqlora.project` reads them.

The reference page of the docs is made from the descriptions here.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sqlora.errors import ConfigError


def _split_names(value: object) -> object:
    """``base,retail`` from the environment or the command line is a list of two names."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]


class Section(BaseModel):
    """A table of sqlora.toml: unchangeable once read, and no key that we don't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProjectSection(Section):
    """``[project]``: what the project is called and which SQL it speaks."""

    name: str = Field(default="", max_length=63, description="name of the project; default: the folder's")
    dialect: str = Field(default="duckdb", min_length=1, description="a sqlglot dialect, or a dialect file")


class DatabaseSection(Section):
    """``[database]``: the database that questions are about. It is only ever read."""

    url: str | None = Field(default=None, description="duckdb:///warehouse.duckdb, sqlite:///x.sqlite, postgresql://…")


SourceKind = Literal[
    "pairs", "rewrite", "sql-create-context", "spider", "bird", "wikisql", "bedrock-conversation", "openai-chat",
    "query-log", "schema-only", "synthesize",
]  # fmt: skip

# The keys of [[sources]] that only some kinds have.
_KINDS_WITH: dict[str, tuple[SourceKind, ...]] = {
    "glossary": ("synthesize", "schema-only"),
    "written_in": (
        "rewrite", "sql-create-context", "spider", "bird", "wikisql", "bedrock-conversation", "openai-chat",
        "query-log", "schema-only",
    ),
    "tables": ("spider", "bird", "wikisql"),
    "databases": ("spider", "bird"),
    "evidence": ("bird",),
    "fields": ("pairs", "rewrite", "sql-create-context"),
}  # fmt: skip


class SourceSection(Section):
    """``[[sources]]``: one place that training pairs come from."""

    kind: SourceKind = Field(description="what the source is")
    path: Path | None = Field(default=None, description="its file, gzipped or not; with * several")
    split: Literal["train", "validation", "test"] | None = Field(
        default=None, description="put all of the source in this split; default: split by query structure"
    )
    count: int | None = Field(default=None, ge=1, description="pairs to synthesize, or how many to draw from the file")
    seed: int = Field(default=0, ge=0, description="seed of the generator or of the draw")
    glossary: Path | None = Field(default=None, description="TOML file with the business's own words")
    written_in: str | None = Field(
        default=None, min_length=1, description="dialect that its SQL (schema-only: its DDL) is in; default: the kind's"
    )
    tables: Path | None = Field(default=None, description="spider, bird, wikisql: the schemas; default: beside it")
    databases: Path | None = Field(default=None, description="spider, bird: folder of databases; default: beside it")
    evidence: bool = Field(default=True, description="bird: put the evidence after the question")
    fields: dict[str, str] = Field(
        default_factory=dict, description='what the file calls its fields: {question = "text", sql = "query"}'
    )

    @field_validator("path", "glossary", "tables", "databases", mode="after")
    @classmethod
    def _from_folder(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return None if value is None else _folder_of(info) / value.expanduser()

    @field_validator("written_in", mode="after")
    @classmethod
    def _dialect_from_folder(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_file = value is not None and value.endswith(".toml")
        return str(_folder_of(info) / Path(value or "").expanduser()) if is_file else value

    @model_validator(mode="after")
    def _fits_kind(self) -> SourceSection:
        if self.kind == "synthesize":
            if self.path is not None:
                raise ValueError("a synthesize source reads the database, so it has no path")
        elif self.path is None and self.kind != "schema-only":
            raise ValueError(f"a {self.kind} source needs a path")
        for key, kinds in _KINDS_WITH.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise ValueError(f"a {self.kind} source has no {key}; these have: {', '.join(kinds)}")
        return self

    def files(self) -> tuple[Path, ...]:
        """Every file that it names: path, glossary, tables, and a dialect's where it is one of the house."""
        dialect = Path(self.written_in) if self.written_in and self.written_in.endswith(".toml") else None
        return tuple(path for path in (self.path, self.glossary, self.tables, dialect) if path is not None)

    def each_file(self) -> list[SourceSection]:
        """This section, once for each file that ``path`` matches; ConfigError when that is none."""
        if self.path is None or not set("*?[") & set(str(self.path)) or self.path.exists():
            return [self]
        found = sorted(Path(self.path.anchor).glob(str(self.path.relative_to(self.path.anchor))))
        if not found:
            raise ConfigError(f"no file matches {self.path} of [[sources]]", "correct path in sqlora.toml")
        return [self.model_copy(update={"path": path}) for path in found]


class WriterSection(Section):
    """``[prepare.writer]``: a model that words questions, on Bedrock or behind OpenAI's API. Without the section: none.

    A key for OpenAI's API is read from the environment, never from the file.
    """

    api: Literal["bedrock", "openai"] = Field(description="Bedrock's Converse, or chat completions as OpenAI's")
    model: str = Field(min_length=1, description="the model's id at the endpoint")
    url: str | None = Field(default=None, description="the endpoint; default: AWS's own, or OPENAI_BASE_URL")
    key_variable: str = Field(
        default="OPENAI_API_KEY", min_length=1, description="environment variable with the key of an openai endpoint"
    )
    kinds: Names = Field(default=("query-log",), description="kinds of sources whose questions it words")
    questions: int = Field(default=2, ge=1, le=10, description="questions to ask it for, for each query")
    max_dollars: float = Field(default=1.0, ge=0, description="a run stops asking before it costs more, dollars")
    max_calls: int = Field(default=1_000, ge=0, description="a run stops asking after so many calls")
    input_price: Decimal | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="dollars for 1M input tokens; default: the price table's"
    )
    output_price: Decimal | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="dollars for 1M output tokens; default: the price table's"
    )
    temperature: float = Field(default=0.5, ge=0, le=1, description="how freely it words")
    seconds: float = Field(default=60.0, gt=0, description="time limit of a call, seconds")

    @field_validator("url", mode="after")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        found = urlsplit(value)
        if found.scheme not in ("http", "https") or not found.hostname:
            raise ValueError("must be an http:// or https:// address")
        if found.username or found.password:
            raise ValueError("has a password in it; name the variable that holds the key, as key_variable")
        return value.rstrip("/")

    @field_validator("input_price", "output_price", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        return str(value) if isinstance(value, float) else value

    @model_validator(mode="after")
    def _has_both_prices(self) -> WriterSection:
        if (self.input_price is None) != (self.output_price is None):
            raise ValueError("input_price and output_price come together")
        return self


class PrepareSection(Section):
    """``[prepare]``: how pairs become a dataset."""

    schema_style: Literal["compact", "ddl"] = Field(
        default="compact", description="schema in the prompt: one line a table, or full DDL"
    )
    schema_tokens: int | None = Field(
        default=None, ge=50, description="most tokens of schema in a prompt: what a question needs; default: all of it"
    )
    sample_values: int = Field(default=0, ge=0, le=20, description="values of each text column to show in the prompt")
    split: Literal["structure", "database", "time", "given"] = Field(
        default="structure", description="what stays together: a query's structure, a database, the newest; or as given"
    )
    validation_share: Share = Field(default=0.05, description="share of examples held out while training")
    test_share: Share = Field(default=0.1, description="share of examples held out for the test")
    seed: int = Field(default=0, ge=0, description="seed of the split")
    personal_data: Literal["reject", "keep"] = Field(
        default="reject", description="examples with an e-mail address, a telephone number, … in them"
    )
    tokens: int | None = Field(
        default=None, ge=64, description="longest example, tokens; default: what the backend's model reads in training"
    )
    processes: int = Field(default=0, ge=0, le=16, description="processes that check examples; 0: one a core")
    writer: WriterSection | None = Field(default=None, description="a model that words questions; see [prepare.writer]")

    @model_validator(mode="after")
    def _leaves_some(self) -> PrepareSection:
        if self.validation_share + self.test_share >= 1.0:
            raise ValueError("validation_share + test_share must be below 1, or nothing is left to train on")
        return self


class TrainSection(Section):
    """``[train]``: where, from what and how to train. Any other key overrides that key of the recipe."""

    model_config = ConfigDict(frozen=True, extra="allow")

    backend: Literal["local", "bedrock", "sagemaker"] = Field(default="local", description="where it runs")
    base_model: str = Field(
        default="smollm2-135m", min_length=1, description="a known name, a folder, a .gguf file or a hub id"
    )
    recipe: str | None = Field(
        default=None, min_length=1, description="hyperparameters by name; default: standard, on AWS nova"
    )
    seed: int = Field(default=0, ge=0, description="seed of the adapter's start and of the order of the data")
    processes: int = Field(default=1, ge=1, le=1024, description="local: share each step's examples, one a GPU")

    @field_validator("base_model", mode="after")
    @classmethod
    def _from_folder(cls, value: str, info: ValidationInfo) -> str:
        return _base_model(value, info)

    @property
    def overrides(self) -> dict[str, Any]:
        """The keys of the recipe that this project sets differently; `sqlora.train.recipe` checks them."""
        return dict(self.model_extra or {})


class DeploySection(Section):
    """``[deploy]``: the deployment that questions go to."""

    name: str | None = Field(default=None, max_length=63, description="the deployment's name; default: the project's")


class EvaluateSection(Section):
    """``[evaluate]``: what is measured, and the limits a model's query runs under."""

    models: Names = Field(default=(), description="models to compare; default: base and newest")
    limit: int | None = Field(default=None, ge=1, description="ask only the first so many questions")
    seconds: float = Field(default=10.0, gt=0, description="time limit of a query, seconds")
    rows: int = Field(default=10_000, ge=1, description="row limit of a query")
    memory_mb: int = Field(default=1024, ge=16, description="memory limit of a query, MiB")
    max_tokens: int = Field(default=256, ge=1, description="longest answer, tokens")
    beams: int = Field(default=4, ge=1, le=64, description="answers looked at where the first is not valid; 1: none")
    seed: int = Field(default=0, ge=0, description="seed of the bootstrap")


class AwsSection(Section):
    """``[aws]``: account settings of the bedrock and sagemaker backends."""

    region: str = Field(default="us-east-1", min_length=1, description="Nova is customised in us-east-1 only")
    role_arn: str | None = Field(default=None, description="role that Bedrock or SageMaker assumes")
    import_role_arn: str | None = Field(default=None, description="role that imports a SageMaker model into Bedrock")
    bucket: str | None = Field(default=None, description="S3 bucket of datasets and results")
    kms_key: str | None = Field(default=None, description="KMS key (ARN) that encrypts what is uploaded and trained")
    profile: str | None = Field(default=None, description="profile of ~/.aws; default: the environment's credentials")
    endpoint_url: str | None = Field(default=None, description="another endpoint of all services, as sqlora serve's")
    model: str = Field(
        default="amazon.nova-micro-v1:0:128k",
        min_length=1,
        description="the Nova model to customise, by its id; on SageMaker any base_model as well",
    )
    instance: str = Field(default="ml.g5.48xlarge", description="instance of a SageMaker training job")
    recipe: dict[str, Any] = Field(
        default_factory=dict, description="keys of Nova's recipe file for SageMaker, nested as in that file"
    )
    max_hours: float = Field(
        default=24.0, gt=0, le=672, description="a SageMaker training job that takes longer is stopped, hours"
    )
    spot: bool = Field(default=False, description="train on SageMaker's spare instances; not possible for Nova")
    image: str | None = Field(
        default=None, min_length=1, description="training image of an open base model; default: AWS's of PyTorch"
    )
    confirm_above: float = Field(default=10.0, ge=0, description="dollars from which a bill has to be confirmed")

    @field_validator("model", mode="after")
    @classmethod
    def _from_folder(cls, value: str, info: ValidationInfo) -> str:
        return _base_model(value, info)


class VllmSection(Section):
    """``[vllm]``: the vLLM server or fleet that custom models can be deployed on. Its key is in ``VLLM_API_KEY``."""

    url: str = Field(default="http://127.0.0.1:8000", description="where the server answers, without /v1")
    model: str | None = Field(
        default=None, min_length=1, description="the base model's name there; default: the name it has here"
    )
    folder: Path | None = Field(
        default=None, description="adapters are copied into it; default: the server reads this project's own files"
    )
    server_folder: str | None = Field(
        default=None, min_length=1, description="the same folder as the server sees it; default: as here"
    )
    resolver: bool = Field(default=False, description="servers find adapters in the folder by themselves, by name")

    @field_validator("url", mode="after")
    @classmethod
    def _is_url(cls, value: str) -> str:
        found = urlsplit(value)
        if found.scheme not in ("http", "https") or not found.hostname:
            raise ValueError("must be an http:// or https:// address")
        if found.username or found.password:
            raise ValueError("has a password in it; the server's key goes into the environment, as VLLM_API_KEY")
        return value.rstrip("/").removesuffix("/v1")

    @field_validator("folder", mode="after")
    @classmethod
    def _from_folder(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return None if value is None else _folder_of(info) / value.expanduser()

    @model_validator(mode="after")
    def _has_folder(self) -> VllmSection:
        if self.folder is None and (self.server_folder is not None or self.resolver):
            raise ValueError("server_folder and resolver need a folder that the server sees too")
        return self


class CostSection(Section):
    """``[cost]``: what things cost, where it differs from the price table that comes with sqlora."""

    prices: Path | None = Field(default=None, description="a price table whose prices go before sqlora's own")
    price_per_hour: Decimal | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="dollars that an hour of this machine costs"
    )

    @field_validator("prices", mode="after")
    @classmethod
    def _from_folder(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return None if value is None else _folder_of(info) / value.expanduser()

    @field_validator("price_per_hour", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        # TOML reads 0.1 as a binary float; its shortest text is what was written.
        return str(value) if isinstance(value, float) else value


class ServeSection(Section):
    """``[serve]``: the server, ``sqlora serve``."""

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on; others need keys")
    port: int = Field(default=8080, ge=0, le=65_535, description="port; 0: any that is free")
    aws: bool = Field(default=False, description="serve S3, IAM, STS and logs too (in memory, by moto)")
    tls_cert: Path | None = Field(default=None, description="certificate chain, PEM; with tls_key, HTTPS only")
    tls_key: Path | None = Field(default=None, description="its private key, PEM")
    idle_minutes: float = Field(default=15.0, gt=0, description="an adapter that nobody asks for so long is unloaded")
    memory_mb: int = Field(default=1024, ge=1, description="memory for adapters and their caches, MiB")
    running: int = Field(default=4, ge=1, le=64, description="answers computed at a time")
    waiting: int = Field(default=256, ge=1, description="requests that may wait; one more is refused with 429")
    waiting_seconds: float = Field(default=45.0, gt=0, description="longest wait; then the request is refused with 429")
    requests_per_minute: int = Field(default=2_000, ge=1, description="of each deployment, as on Bedrock")
    tokens_per_minute: int = Field(default=4_000_000, ge=1, description="of each deployment, as on Bedrock")

    @field_validator("tls_cert", "tls_key", mode="after")
    @classmethod
    def _from_folder(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        return None if value is None else _folder_of(info) / value.expanduser()

    @model_validator(mode="after")
    def _has_both(self) -> ServeSection:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key come together")
        return self


class Settings(Section):
    """All of sqlora.toml."""

    project: ProjectSection = ProjectSection()
    database: DatabaseSection = DatabaseSection()
    sources: tuple[SourceSection, ...] = ()
    prepare: PrepareSection = PrepareSection()
    train: TrainSection = TrainSection()
    deploy: DeploySection = DeploySection()
    evaluate: EvaluateSection = EvaluateSection()
    aws: AwsSection = AwsSection()
    vllm: VllmSection = VllmSection()
    cost: CostSection = CostSection()
    serve: ServeSection = ServeSection()


SECTIONS: dict[str, type[Section]] = {
    "project": ProjectSection,
    "database": DatabaseSection,
    "sources": SourceSection,
    "prepare": PrepareSection,
    "train": TrainSection,
    "deploy": DeploySection,
    "evaluate": EvaluateSection,
    "aws": AwsSection,
    "vllm": VllmSection,
    "cost": CostSection,
    "serve": ServeSection,
}


def _base_model(value: str, info: ValidationInfo) -> str:
    """A base model's name, or its path: "Qwen/Qwen2.5-Coder-0.5B" is a hub id unless there is such a folder."""
    path = _folder_of(info) / Path(value).expanduser()
    named_as_path = value.startswith((".", "/", "~")) or value.endswith(".gguf")
    return str(path) if named_as_path or ("/" in value and path.is_dir()) else value


def _folder_of(info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", "."))
