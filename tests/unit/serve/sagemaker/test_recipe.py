"""What Nova's recipe means here, and what of it is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sqlora.errors import ConfigError, NotFoundError
from sqlora.serve.sagemaker.recipe import local_recipe
from sqlora.serve.sagemaker.recipe_file import MOST_BYTES, from_hyperparameters, read_recipe
from sqlora.train.nova import NovaRecipe, leaves, merged, parse_recipe
from sqlora.train.recipe import Recipe
from tests.unit.platform.memory_objects import MemoryObjects
from tests.wire.notebooks import RECIPE


def of(**training_config: Any) -> Recipe:
    return local_recipe(parse_recipe({"training_config": training_config}, "recipe.yaml"))


def mistakes(values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_recipe(values, "recipe.yaml")
    return caught.value.message


def test_awss_recipe_trains_with_the_local_recipes_own_values() -> None:
    recipe = local_recipe(parse_recipe(RECIPE, "recipe.yaml"))
    own = Recipe()
    for name in ("rank", "alpha", "learning_rate", "b_ratio", "batch_size", "weight_decay"):
        assert getattr(recipe, name) == pytest.approx(getattr(own, name)), name
    assert (recipe.epochs, recipe.warmup_steps) == (2, 10)


def test_the_schema_has_exactly_the_keys_of_awss_recipe() -> None:
    def paths(values: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        if not isinstance(values, dict):
            return [path]
        return [each for key, value in values.items() for each in paths(value, (*path, key))]

    assert sorted(leaves()) == sorted(paths(RECIPE))
    assert parse_recipe({}, "") == parse_recipe(
        merged(RECIPE, {"run": {"mlflow_experiment_name": "", "mlflow_run_name": ""}}), ""
    )


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({"trainer": {"max_epochs": 5}}, "epochs", 5),
        ({"global_batch_size": 16}, "batch_size", 1),
        ({"global_batch_size": 32}, "batch_size", 2),
        ({"model": {"optim": {"lr": 1e-6}}}, "learning_rate", 2.5e-3 * 0.1**0.5),
        ({"model": {"optim": {"lr": "4e-5"}}}, "learning_rate", 5e-3),  # YAML 1.1 reads 4e-5 as text
        ({"model": {"optim": {"weight_decay": 1}}}, "weight_decay", 0.999),
        ({"model": {"optim": {"sched": {"warmup_steps": 20}}}}, "warmup_steps", 20),
        ({"model": {"peft": {"lora_tuning": {"alpha": 32}}}}, "alpha", 8),
        ({"model": {"peft": {"lora_tuning": {"alpha": 192}}}}, "alpha", 48),
        ({"model": {"peft": {"lora_tuning": {"loraplus_lr_ratio": 64}}}}, "b_ratio", 4),
        ({"model": {"peft": {"lora_tuning": {"loraplus_lr_ratio": 0}}}}, "b_ratio", 1 / 16),
    ],
)
def test_the_table(given: dict[str, Any], name: str, value: float) -> None:
    assert getattr(of(**given), name) == pytest.approx(value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"runs": {}}, "runs is not a key of this recipe"),
        ({"training_config": {"lora_rank": 8}}, "training_config.lora_rank is not a key of this recipe"),
        ({"training_config": {"global_batch_size": 20}}, "global_batch_size = 20: must be one of 16, 32, 64"),
        ({"training_config": {"max_length": 512}}, "max_length = 512: greater than or equal to 1024"),
        ({"training_config": {"max_length": 1500}}, "max_length = 1500: must be a multiple of 1024"),
        ({"training_config": {"trainer": {"max_epochs": 0}}}, "max_epochs = 0"),
        ({"training_config": {"model": {"hidden_dropout": 1.5}}}, "hidden_dropout = 1.5"),
        ({"training_config": {"model": {"optim": {"sched": {"warmup_steps": 21}}}}}, "warmup_steps = 21"),
        ({"training_config": {"model": {"optim": {"name": "sgd"}}}}, "name = 'sgd': 'distributed_fused_adam'"),
        ({"training_config": {"model": {"optim": {"lr": float("nan")}}}}, "lr = nan"),
        ({"training_config": {"model": {"peft": {"peft_scheme": None}}}}, "peft_scheme = None: must be lora"),
        ({"training_config": {"model": {"peft": {"lora_tuning": {"alpha": 100}}}}}, "alpha = 100"),
        ({"training_config": {"model": {"peft": {"lora_tuning": {"loraplus_lr_ratio": 101}}}}}, "ratio = 101"),
        ({"run": {"model_name_or_path": "s3://escrow/a"}}, "an earlier checkpoint cannot be trained further"),
        ({"run": {"model_type": "meta.llama3"}}, "run.model_type = 'meta.llama3'"),
        ({"run": {"data_s3_path": "s3://a/b"}}, "is of HyperPod and must be empty"),
        ({"run": []}, "run = a list"),
    ],
)
def test_what_is_refused_is_named(values: dict[str, Any], message: str) -> None:
    assert message in mistakes(values)


def test_all_mistakes_are_listed_at_once() -> None:
    text = mistakes({"training_config": {"global_batch_size": 1, "max_length": 1, "rank": 1}, "evaluation": {}})
    for key in ("global_batch_size", "max_length", "training_config.rank", "evaluation"):
        assert key in text
    assert text.startswith("recipe.yaml: ")


def test_a_mistake_shows_no_more_than_the_beginning_of_a_value() -> None:
    assert len(mistakes({"run": {"model_name_or_path": "x" * 10_000}})) < 300
    assert len(mistakes({"run": {"replicas": -(10**4000)}})) < 300
    shared: list[Any] = []
    for _ in range(60):  # what "billion laughs" makes: small to hold, 2^60 items to print
        shared = [shared, shared]
    assert len(mistakes({"run": {"name": shared}})) < 200


def test_hyperparameters_are_the_recipes_keys_by_path_or_by_name() -> None:
    values = from_hyperparameters(
        {"max_epochs": "4", "training_config.model.optim.lr": "1e-5", "base_model": '"nova-lite/prod"', "alpha": "64"}
    )
    recipe = parse_recipe(values, "")
    assert recipe.training_config.trainer.max_epochs == 4
    assert recipe.training_config.model.peft.lora_tuning.alpha == 64
    assert recipe.run.model_name_or_path == "nova-lite/prod"


def test_hyperparameters_of_the_sdks_own_are_passed_over_and_unknown_ones_named() -> None:
    assert from_hyperparameters({"sagemaker_region": "us-east-1"}) == {}
    with pytest.raises(ConfigError, match="is no key of this recipe: epochCount, name"):
        from_hyperparameters({"epochCount": "1", "name": "a", "lr": "1e-5"})  # there are two called name


def test_a_hyperparameter_of_thousands_of_digits_is_only_text() -> None:
    assert from_hyperparameters({"lr": "9" * 5000}) == {"training_config": {"model": {"optim": {"lr": "9" * 5000}}}}


def test_hyperparameters_replace_the_files_values() -> None:
    under = {"training_config": {"trainer": {"max_epochs": 2}, "max_length": 2048}}
    assert merged(under, from_hyperparameters({"max_epochs": "4"})) == {
        "training_config": {"trainer": {"max_epochs": 4}, "max_length": 2048}
    }
    assert under["training_config"]["trainer"] == {"max_epochs": 2}


# the file -------------------------------------------------------------------------------------------------------------


def store(**files: str | bytes) -> MemoryObjects:
    objects = MemoryObjects()
    for name, text in files.items():
        content = text if isinstance(text, bytes) else text.encode()
        objects.content[f"s3://bucket/r/{name.replace('_yaml', '.yaml')}"] = content
    return objects


def test_the_recipe_is_the_channels_file_or_the_one_the_sdk_names() -> None:
    objects = store(a_yaml="run: {name: a}", b_yaml="run: {name: b}", notes="not this")
    assert read_recipe(objects, "s3://bucket/r/a.yaml") == ({"run": {"name": "a"}}, "s3://bucket/r/a.yaml")
    assert read_recipe(objects, "s3://bucket/r", "/opt/ml/input/data/recipe/b.yaml")[0] == {"run": {"name": "b"}}
    with pytest.raises(ConfigError, match="has 2 YAML files"):
        read_recipe(objects, "s3://bucket/r")
    with pytest.raises(ConfigError, match="has no YAML files"):
        read_recipe(objects, "s3://bucket/other/")
    with pytest.raises(NotFoundError, match=r"s3://bucket/r/c\.yaml"):
        read_recipe(objects, "s3://bucket/r/c.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run:\n  name: [", "line 2 is not YAML"),
        ("- a\n- b", "is not a recipe"),
        ("", "is not a recipe"),
        ("1: 2", "is not a recipe"),
        (b"\xff\xfe\x00", "is not YAML"),
        ("[" * 40_000, "is not YAML"),
        ("a: !!python/object/apply:os.system ['touch /tmp/x']", "is not YAML"),
        ("a: " + "x" * MOST_BYTES, "more than 64 KB"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_recipe(store(a_yaml=text), "s3://bucket/r/a.yaml")
    assert message in caught.value.message
    assert "s3://bucket/r/a.yaml" in caught.value.message


def test_the_whole_recipe_survives_yaml() -> None:
    objects = store(a_yaml=yaml.safe_dump(RECIPE))
    values, origin = read_recipe(objects, "s3://bucket/r/a.yaml")
    assert parse_recipe(values, origin) == NovaRecipe.model_validate(RECIPE)
