"""sqlora's recipe → the file that Nova's training image reads, with what ``[aws.recipe]`` sets beyond it.

| sqlora's | Nova's |
|---|---|
| epochs | training_config.trainer.max_epochs |
| batch_size | training_config.global_batch_size |
| learning_rate | training_config.model.optim.lr |
| warmup_steps | training_config.model.optim.sched.warmup_steps |
| weight_decay | training_config.model.optim.weight_decay |
| alpha | training_config.model.peft.lora_tuning.alpha |
| b_ratio | training_config.model.peft.lora_tuning.loraplus_lr_ratio |

The other keys of sqlora's recipe are its own trainer's: one that differs from the recipe ``nova`` is refused, so that
nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlora.errors import ConfigError
from sqlora.settings import AwsSection
from sqlora.train.nova import MODELS, NovaModel, NovaRecipe, longest_record, merged, parse_recipe
from sqlora.train.recipe import BUILT_IN, Recipe

PATHS: dict[str, tuple[str, ...]] = {
    "epochs": ("training_config", "trainer", "max_epochs"),
    "batch_size": ("training_config", "global_batch_size"),
    "learning_rate": ("training_config", "model", "optim", "lr"),
    "warmup_steps": ("training_config", "model", "optim", "sched", "warmup_steps"),
    "weight_decay": ("training_config", "model", "optim", "weight_decay"),
    "alpha": ("training_config", "model", "peft", "lora_tuning", "alpha"),
    "b_ratio": ("training_config", "model", "peft", "lora_tuning", "loraplus_lr_ratio"),
}
# What the job itself decides; the rest of ``run`` are MLflow's.
FIXED = ("name", "model_type", "model_name_or_path", "replicas", "data_s3_path", "output_s3_path")
NEXT = 'recipe = "nova" in [train] of sqlora.toml, and the keys of Nova\'s recipe in [aws.recipe]'


def nova_recipe(recipe: Recipe, settings: AwsSection, model: NovaModel, name: str = "sqlora") -> NovaRecipe:
    """The file's values; ``name`` is the run's. ConfigError lists all that the image would refuse or not hear of."""
    problems = [
        f"{key} = {getattr(recipe, key)}: Nova's recipe has no such key"
        for key in Recipe.model_fields
        if key not in ("name", *PATHS) and getattr(recipe, key) != getattr(BUILT_IN["nova"], key)
    ]
    problems += [
        f"[aws.recipe] run.{key} = {settings.recipe['run'][key]!r}: the job decides that, by [aws] model and instance"
        for key in FIXED
        if isinstance(settings.recipe.get("run"), Mapping) and key in settings.recipe["run"]
    ]
    count = model.instances.get(settings.instance)
    if count is None:
        problems.append(f"[aws] instance = {settings.instance!r}: {model.id} trains on {', '.join(model.instances)}")
    made: NovaRecipe | None = None
    try:
        made = parse_recipe(merged(_values(recipe, model, count or 1, name), settings.recipe), "its file would have")
        longest, asked = longest_record(settings.instance), made.training_config.max_length
        if asked > longest:
            problems.append(f"training_config.max_length = {asked}: the most on {settings.instance} is {longest}")
    except ConfigError as error:
        problems.append(error.message)
    if problems or made is None:
        lines = [f"SageMaker cannot train {model.id} by recipe {recipe.name!r}:", *(f"  {each}" for each in problems)]
        raise ConfigError("\n".join(lines), NEXT)
    return made


def _values(recipe: Recipe, model: NovaModel, count: int, name: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "run": {"name": name, "model_type": model.id, "model_name_or_path": model.path, "replicas": count}
    }
    for key, path in PATHS.items():
        place = values
        for level in path[:-1]:
            place = place.setdefault(level, {})
        place[path[-1]] = getattr(recipe, key)
    return values


def as_yaml(recipe: NovaRecipe) -> str:
    """The file: every key, so that the image's own defaults decide nothing."""
    import yaml

    text: str = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    return text


def nova_model(id: str) -> NovaModel | None:
    """The size of Nova of that id; None for an open base model. ConfigError for a model of Amazon's that is neither."""
    if id in MODELS or not id.startswith("amazon."):
        return MODELS.get(id)
    raise ConfigError(f"[aws] model = {id!r} cannot be trained; {', '.join(MODELS)} can", "edit sqlora.toml")
