"""``sqlora models``: what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sqlora.cli.command import nouns, verb
from sqlora.cli.output import print_fields, print_json, print_next, print_table, shown_path, warn
from sqlora.cli.progress import ProgressLine
from sqlora.cli.project import open_backend, open_project
from sqlora.models.export import FORMATS, NUMBER_FORMATS, Exported, Format, NumberFormat, export_model


@nouns(
    examples={
        "sqlora models list": "newest first",
        "sqlora models show larkspur": "what it was trained on, and its losses",
        "sqlora models rm larkspur-old": "and its weights",
        "sqlora models export larkspur --format ollama": "for another runtime",
    }
)
def command() -> None:
    """Custom models: adapters over a base model."""


@verb(
    command,
    "list",
    examples={
        "sqlora models list": "newest first",
        "sqlora models list --json": "for a script",
        "sqlora models list --json | jq -r '.[0].name'": "the newest one's name",
    },
)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the custom models, newest first."""
    with open_backend(open_project(ctx)) as place:
        found = place.models()
    if as_json:
        print_json([vars(model) for model in found])
        return
    print_table(
        ["id", "name", "backend", "base model", "train loss", "validation loss", "created"],
        [
            [
                model.id, model.name, model.backend, model.base_model, model.train_loss, model.validation_loss,
                model.created_at,
            ]
            for model in found
        ],
    )


@verb(
    command,
    "show",
    examples={
        "sqlora models show larkspur": "by name",
        "sqlora models show p0d8f6s4a2zz": "by id",
        "sqlora models show larkspur --json | jq .manifest.recipe": "its hyperparameters",
    },
)
@click.argument("id")
@click.pass_context
def show(ctx: click.Context, id: str, as_json: bool) -> None:
    """Show the custom model ID (or name)."""
    project = open_project(ctx)
    with open_backend(project) as place:
        model = place.model(id)
        deployed = [deployment.name for deployment in place.deployments() if deployment.model_id == model.id]
    folder = project.state / model.folder if model.folder else None  # one elsewhere has none
    manifest = _manifest(folder / "manifest.json") if folder else {}
    if as_json:
        print_json({**vars(model), "folder": folder, "deployments": deployed, "manifest": manifest})
        return
    recipe = manifest.get("recipe")
    print_fields(
        {
            "model": model.name,
            "id": model.id,
            "backend": model.backend,
            "arn": model.arn,
            "base model": model.base_model,
            "dataset": manifest.get("dataset_id"),
            "recipe": recipe.get("name") if isinstance(recipe, dict) else recipe,
            "steps": manifest.get("steps"),
            "train loss": model.train_loss,
            "validation loss": model.validation_loss,
            "job": model.job_id,
            "deployed as": deployed or None,
            "created": model.created_at,
            "folder": folder,
            "size": _size(folder / "adapter_model.safetensors") if folder else None,
        }
    )


def _size(weights: Path) -> str:
    return _bytes(weights.stat().st_size) if weights.exists() else "its weights are gone"


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _manifest(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@verb(
    command,
    "rm",
    examples={
        "sqlora models rm larkspur-old": "by name",
        "sqlora models rm p0d8f6s4a2zz": "by id",
        "sqlora deployments rm larkspur && sqlora models rm larkspur": "one that is deployed",
    },
)
@click.argument("id")
@click.pass_context
def rm(ctx: click.Context, id: str, as_json: bool) -> None:
    """Remove the custom model ID (or name) and its weights; not while it is deployed."""
    with open_backend(open_project(ctx)) as place:
        model = place.model(id)
        place.delete_model(model.id)
    if as_json:
        print_json({"removed": model.id})
    else:
        click.echo(f"removed model {model.name}")


@verb(
    command,
    "export",
    examples={
        "sqlora models export larkspur --format gguf": "one file for llama.cpp",
        "sqlora models export larkspur --format ollama --out larkspur": "the file and a Modelfile",
        "sqlora models export larkspur --format peft": "the adapter, for PEFT, vLLM or another project",
        "sqlora models export base --format merged": "the base model, which adapters go over",
    },
)
@click.argument("name")
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder; NAME-FORMAT in this one if not given.")
@click.option("--numbers", type=click.Choice(NUMBER_FORMATS), help="How weights are stored (f16; adapters f32).")
@click.option("--adapter-only", is_flag=True, help="gguf: the adapter without its base; ollama: both, in a file each.")
@click.pass_context
def export(
    ctx: click.Context,
    name: str,
    format_: Format,
    out: Path | None,
    numbers: NumberFormat | None,
    adapter_only: bool,
    as_json: bool,
) -> None:
    """Write the custom model NAME (or base) for other runtimes."""
    from sqlora.backends.export import base_source, model_source

    project = open_project(ctx)
    with ProgressLine() as line:
        if name in ("base", project.train.base_model):
            source = base_source(project, line.message)
        else:
            with open_backend(project) as place:
                model = place.model(name)
            source = model_source(project, model, line.message)
        folder = out or Path(f"{source.name}-{format_}")
        made = export_model(source, format_, folder, numbers=numbers, adapter_only=adapter_only)
    if as_json:
        files = [{"name": file, "bytes": size} for file, size in made.files.items()]
        print_json({"model": source.name, "format": format_, "folder": made.folder, "files": files})
        return
    print_table(["file", "size"], [[made.folder / file, _bytes(size)] for file, size in made.files.items()])
    print_next(_use(source.name, format_, made))


def _use(name: str, format_: str, made: Exported) -> str:
    """The command that uses what was exported."""
    folder = shown_path(made.folder)
    files = [file for file in made.files if file.endswith(".gguf")]
    if format_ == "ollama":
        return f"ollama create {name} -f {folder}/Modelfile"
    if format_ == "gguf" and files[0].endswith("-adapter.gguf"):
        return f"sqlora models export base --format gguf, then llama-server -m THAT --lora {folder}/{files[0]}"
    if format_ == "gguf":
        system = f" -sysf {folder}/system.txt" if "system.txt" in made.files else ""
        return f"llama-cli -m {folder}/{files[0]}{system} --temp 0"
    if format_ == "merged":
        return f'transformers: AutoModelForCausalLM.from_pretrained("{folder}")'
    return f'peft: PeftModel.from_pretrained(base, "{folder}"); base: sqlora models export base --format merged'


@verb(
    command,
    "import",
    examples={
        "sqlora models import colleague ./adapter": "a folder that PEFT's save_pretrained wrote",
        "sqlora models import colleague ./larkspur-peft": "one that sqlora models export wrote",
        "sqlora models import other ./adapter --base-model ./qwen": "over another base model",
    },
)
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--base-model", help="What it was trained on, if not the project's.")
@click.pass_context
def import_(ctx: click.Context, name: str, folder: Path, base_model: str | None, as_json: bool) -> None:
    """Make the LoRA adapter in FOLDER (PEFT's format) the custom model NAME; it is checked first, and copied."""
    project = open_project(ctx)
    with open_backend(project) as place:
        model = place.local.import_model(name, folder, base_model=base_model)
    manifest = _manifest(project.state / model.folder / "manifest.json")
    said = _manifest(project.state / model.folder / "adapter_config.json").get("base_model_name_or_path")
    if said and "base_model" not in _manifest(folder / "manifest.json") and said != model.base_model:
        warn(f"it says that it was trained on {said}; nothing but the shapes tells that it fits {model.base_model}")
    if as_json:
        print_json({**vars(model), "folder": project.state / model.folder, "manifest": manifest})
        return
    click.echo(f"imported model {model.name} ({model.id})")
    print_next(f"sqlora deploy {model.name}")
