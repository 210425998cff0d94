"""Bedrock's hyperparameters → a recipe for the local base model.

The service's ranges and defaults are Nova's; a model a hundredth its size wants a far larger learning rate. The call
stays as it is, and this table says what it means here:

| the service's | range | default | the recipe's |
|---|---|---|---|
| epochCount | 1 – 5 | 2 | epochs, as given |
| learningRate | 1e-6 – 1e-4 | 1e-5 | learning_rate = 2.5e-3 · √(learningRate / 1e-5), so 7.9e-4 – 7.9e-3 |
| learningRateWarmupSteps | 0 – 100 | 10 | warmup_steps, as given |
| batchSize | 1 | 1 | 4 examples a step, the recipe's own: 1 is the only value the service takes |

The service's default rate becomes the recipe's own, measured here (docs/LOG.md); the root halves, on a logarithmic
scale, how far the ends of the range lie from it, because a factor of ten either way does not train this model. The
service trains all its epochs, so nothing stops early; the adapter kept is that of the best validation.

Source of the ranges: https://docs.aws.amazon.com/bedrock/latest/userguide/cm-hp-nova-mm.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlora.errors import ConfigError
from sqlora.train.recipe import Recipe

RECIPE_NAME = "bedrock"
SERVICE_RATE, LOCAL_RATE = 1e-5, 2.5e-3
NEVER = 1_000_000  # validations without improvement

# Python's own float() would also take "nan", " 2" and "1_0".
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?|-?\.[0-9]{1,20}([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Range:
    """The values that the service takes for one hyperparameter, ends included."""

    least: float
    most: float
    default: float
    whole: bool

    def read(self, text: str) -> float:
        """The number in ``text``; ValueError says what it is not."""
        if not (_WHOLE if self.whole else _NUMBER).fullmatch(text):
            raise ValueError("is not a whole number" if self.whole else "is not a number")
        number = float(text)
        if not self.least <= number <= self.most:
            raise ValueError(f"is not between {_shown(self.least)} and {_shown(self.most)}")
        return number


RANGES: dict[str, Range] = {
    "epochCount": Range(1, 5, 2, True),
    "learningRate": Range(1e-6, 1e-4, SERVICE_RATE, False),
    "learningRateWarmupSteps": Range(0, 100, 10, True),
    "batchSize": Range(1, 1, 1, True),
}


def local_rate(service_rate: float) -> float:
    """The local learning rate for one of the service's; the table above says why."""
    return LOCAL_RATE * math.sqrt(service_rate / SERVICE_RATE)


def recipe_of(hyperparameters: Mapping[str, str]) -> Recipe:
    """The recipe that the service's hyperparameters mean; ConfigError lists every mistake."""
    values = {name: known.default for name, known in RANGES.items()}
    problems = []
    for name, text in hyperparameters.items():
        if name not in RANGES:
            problems.append(f"hyperparameter {name} is unknown; known: {', '.join(RANGES)}")
            continue
        try:
            values[name] = RANGES[name].read(text)
        except ValueError as error:
            problems.append(f"hyperparameter {name} = {text!r} {error}")
    if problems:
        raise ConfigError("; ".join(problems))
    return Recipe(
        name=RECIPE_NAME,
        epochs=values["epochCount"],
        learning_rate=local_rate(values["learningRate"]),
        warmup_steps=int(values["learningRateWarmupSteps"]),
        patience=NEVER,
    )


def _shown(number: float) -> str:
    return str(int(number)) if number >= 1 or number == 0 else f"{number:g}"
