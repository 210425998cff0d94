"""Recipes: hyperparameters with a name."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sqlora.errors import ConfigError


class Recipe(BaseModel):
    """Hyperparameters of one training run; docs/reference/recipes.md lists the built-in ones.

    ``minutes`` bounds the run on any machine: after the first steps the measured speed fixes how many steps fit,
    and that number is written into the checkpoint, so that a resumed run computes the same losses.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "custom"
    rank: int = Field(16, ge=1, le=256, description="rank r of the update matrices")
    alpha: float = Field(32.0, gt=0, description="scale of the update is alpha / rank")
    learning_rate: float = Field(2.5e-3, gt=0, lt=1, description="peak, for the A matrices")
    b_ratio: float = Field(1.0, gt=0, le=100, description="learning rate of B over that of A (LoRA+, 2402.12354)")
    warmup_steps: int = Field(30, ge=0)
    weight_decay: float = Field(0.0, ge=0, lt=1)
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of all gradients together")
    epochs: float = Field(3.0, gt=0, le=1000)
    batch_size: int = Field(4, ge=1, le=4096, description="examples a step")
    pack_tokens: int = Field(2048, ge=64, description="most tokens computed at once; bounds memory")
    prefix_every: int = Field(
        16, ge=1, description="steps that share one computation of the common prompt; 1: its gradient is exact"
    )
    minutes: float | None = Field(None, gt=0, description="time the training may take, validation included")
    validate_every: int = Field(200, ge=1, description="steps between validation losses")
    validation_examples: int = Field(64, ge=0, description="most validation examples used each time")
    patience: int = Field(5, ge=1, description="validations without improvement before stopping")


BUILT_IN: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="demo", learning_rate=3e-3, epochs=4, minutes=7, validate_every=100, validation_examples=32),
        Recipe(name="standard", epochs=3),
        Recipe(name="thorough", epochs=8, minutes=60, validate_every=200, patience=10),
        # The services' own defaults for Nova; a small model learns nothing at such a rate.
        Recipe(name="nova", alpha=128.0, learning_rate=1e-5, b_ratio=16.0, warmup_steps=10, epochs=2, batch_size=64),
    )
}


def load_recipe(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """A built-in recipe with some values replaced; `ConfigError` lists every mistake."""
    if name not in BUILT_IN:
        raise ConfigError(
            f"unknown recipe {name!r}; there are: {', '.join(BUILT_IN)}", f"--recipe {next(iter(BUILT_IN))}"
        )
    try:
        return Recipe.model_validate(BUILT_IN[name].model_dump() | (overrides or {}))
    except ValidationError as error:
        lines = "\n".join(f"  {'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors())
        raise ConfigError(
            f"recipe {name!r} with these values is not valid:\n{lines}", "edit [train] in sqlora.toml"
        ) from None
