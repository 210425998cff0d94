from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import ConfigError
from sqlora.platform.hyperparameters import RANGES, local_rate, recipe_of
from sqlora.train.recipe import Recipe


def test_the_services_defaults_train_as_the_recipes_own_rate_does() -> None:
    recipe = recipe_of({})
    assert (recipe.epochs, recipe.warmup_steps, recipe.batch_size) == (2, 10, Recipe().batch_size)
    assert recipe.learning_rate == Recipe().learning_rate


def test_the_calls_of_the_post_and_of_the_notebook_are_taken() -> None:
    post = {"epochCount": "5", "learningRate": "0.00001", "learningRateWarmupSteps": "10", "batchSize": "1"}
    assert recipe_of(post).epochs == 5
    assert recipe_of({"epochCount": "1", "batchSize": "1", "learningRate": "0.00001"}).epochs == 1


def test_the_ends_of_the_range_are_a_root_of_ten_from_the_default() -> None:
    assert local_rate(1e-6) == pytest.approx(2.5e-3 / math.sqrt(10))
    assert local_rate(1e-4) == pytest.approx(2.5e-3 * math.sqrt(10))


def test_no_validation_stops_it_before_its_epochs_are_done() -> None:
    assert recipe_of({}).patience > 5 * 20_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochCount", "0"),
        ("epochCount", "6"),
        ("epochCount", "2.5"),
        ("epochCount", "2.0"),
        ("epochCount", " 2"),
        ("epochCount", "1_0"),
        ("epochCount", "٢"),
        ("epochCount", "two"),
        ("learningRate", "2e-4"),
        ("learningRate", "1e-7"),
        ("learningRate", "nan"),
        ("learningRate", "inf"),
        ("learningRate", ""),
        ("learningRateWarmupSteps", "-1"),
        ("learningRateWarmupSteps", "101"),
        ("batchSize", "2"),
        ("rank", "8"),
    ],
)
def test_what_the_service_refuses_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        recipe_of({name: text})


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        recipe_of({"epochCount": "9", "batchSize": "4", "rank": "8"})
    assert all(name in caught.value.message for name in ("epochCount", "batchSize", "rank"))


@given(st.sampled_from([*RANGES, "other"]), st.text(max_size=12))
def test_any_text_is_a_recipe_or_a_config_error(name: str, text: str) -> None:
    try:
        assert isinstance(recipe_of({name: text}), Recipe)
    except ConfigError:
        pass
