"""What a backend refuses before work or money is spent."""

from __future__ import annotations

import pytest

from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.errors import ConfigError
from sqlora.train.recipe import Recipe

BEDROCK = Capabilities(
    "bedrock",
    records=(8, 20_000),
    base_models=("amazon.nova-micro-v1:0:128k",),
    hyperparameters={"epochs": (1, 5), "learning_rate": (1e-6, 1e-4)},
)


def test_all_refusals_at_once() -> None:
    request = TrainingRequest("d1", Recipe(name="mine", epochs=6, learning_rate=2e-3), detach=True)
    with pytest.raises(ConfigError) as caught:
        BEDROCK.check(request, 7, "smollm2-135m")
    assert caught.value.message.splitlines() == [
        "the bedrock backend cannot train this:",
        "  dataset d1 has 7 training records; it takes 8 to 20000",
        "  base model 'smollm2-135m'; it trains amazon.nova-micro-v1:0:128k",
        "  recipe 'mine': epochs = 6.0; it takes 1 to 5",
        "  recipe 'mine': learning_rate = 0.002; it takes 1e-06 to 0.0001",
        "  a detached job",
    ]
    assert (caught.value.next_step or "").split("; ") == [
        "more examples in [[sources]], then sqlora prepare",
        "another base model",
        "--recipe nova, or another epochs in [train]",
        "--recipe nova, or another learning_rate in [train]",
        "leave --detach out",
    ]


def test_the_bounds_themselves_are_allowed() -> None:
    recipe = Recipe(epochs=5, learning_rate=1e-4)
    for records in (8, 20_000):
        BEDROCK.check(TrainingRequest("d1", recipe), records, "amazon.nova-micro-v1:0:128k")
    with pytest.raises(ConfigError, match="20001 training records"):
        BEDROCK.check(TrainingRequest("d1", recipe), 20_001, "amazon.nova-micro-v1:0:128k")
