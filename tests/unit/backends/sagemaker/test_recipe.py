"""sqlora's recipe as the file that Nova's image reads."""

from __future__ import annotations

import pytest
import yaml

from sqlora.backends.sagemaker.recipe import PATHS, as_yaml, nova_model, nova_recipe
from sqlora.errors import ConfigError
from sqlora.settings import AwsSection
from sqlora.train.nova import MODELS, leaves, parse_recipe
from sqlora.train.recipe import BUILT_IN, Recipe, load_recipe
from tests.wire.notebooks import RECIPE as AWSS

MICRO, LITE, PRO = MODELS.values()
NOVA = BUILT_IN["nova"]


def refused(recipe: Recipe, settings: AwsSection) -> str:
    with pytest.raises(ConfigError) as caught:
        nova_recipe(recipe, settings, MICRO)
    assert caught.value.next_step
    return caught.value.message


def test_the_recipe_nova_is_awss_own_file() -> None:
    made = nova_recipe(NOVA, AwsSection(), MICRO, "my-lora-run")
    awss = parse_recipe(AWSS, "AWS's")
    mlflow = {key: value for key, value in awss.run if key.startswith("mlflow")}
    assert made.model_copy(update={"run": made.run.model_copy(update=mlflow)}) == awss


def test_the_file_has_every_key_and_reads_back_as_it_was() -> None:
    made = nova_recipe(load_recipe("nova", {"learning_rate": 3e-7, "epochs": 3}), AwsSection(), MICRO, "run")
    values = yaml.safe_load(as_yaml(made))
    assert parse_recipe(values, "file") == made
    assert isinstance(values["training_config"]["model"]["optim"]["lr"], float)  # YAML 1.1 reads 3e-07 as text
    for path in leaves():
        place = values
        for key in path:
            assert key in place, path
            place = place[key]


@pytest.mark.parametrize("key", PATHS)
def test_each_key_goes_to_its_place(key: str) -> None:
    other = {
        "epochs": 4, "batch_size": 16, "learning_rate": 2e-5, "warmup_steps": 3, "weight_decay": 0.5, "alpha": 64,
        "b_ratio": 8,
    }[key]  # fmt: skip
    made = nova_recipe(load_recipe("nova", {key: other}), AwsSection(), MICRO).model_dump()
    for level in PATHS[key]:
        made = made[level]
    assert made == other


def test_aws_recipe_sets_what_sqloras_has_no_key_for() -> None:
    more = {"training_config": {"max_length": 4096, "model": {"hidden_dropout": 0.1}}, "run": {"mlflow_run_name": "x"}}
    made = nova_recipe(NOVA, AwsSection(recipe=more), MICRO)
    assert (made.training_config.max_length, made.training_config.model.hidden_dropout) == (4096, 0.1)
    assert (made.run.mlflow_run_name, made.training_config.model.optim.lr) == ("x", 1e-5)


def test_all_that_is_wrong_is_said_at_once() -> None:
    recipe = load_recipe("nova", {"rank": 8, "learning_rate": 0.01, "epochs": 2.5})
    more = {"training_config": {"max_length": 1000, "typo": 1}, "run": {"replicas": 2}}
    message = refused(recipe, AwsSection(recipe=more, instance="ml.m5.large"))
    for said in (
        "rank = 8: Nova's recipe has no such key",
        "[aws.recipe] run.replicas = 2",
        "[aws] instance = 'ml.m5.large': amazon.nova-micro-v1:0:128k trains on ml.g5.12xlarge",
        "optim.lr = 0.01",
        "max_epochs = 2.5",
        "max_length = 1000",
        "training_config.typo is not a key of this recipe",
    ):
        assert said in message, said


def test_long_records_need_large_instances() -> None:
    long = {"training_config": {"max_length": 16384}}
    assert "the most on ml.g5.48xlarge is 8192" in refused(NOVA, AwsSection(recipe=long))
    made = nova_recipe(NOVA, AwsSection(recipe=long, instance="ml.p4d.24xlarge"), MICRO)
    assert (made.run.replicas, made.training_config.max_length) == (2, 16384)


def test_other_sizes_have_their_own_names_and_instances() -> None:
    with pytest.raises(ConfigError, match=r"nova-pro-v1:0:300k trains on ml\.p4d"):
        nova_recipe(NOVA, AwsSection(), PRO)
    made = nova_recipe(NOVA, AwsSection(instance="ml.p5.48xlarge"), LITE)
    assert (made.run.model_type, made.run.model_name_or_path) == ("amazon.nova-lite-v1:0:300k", "nova-lite/prod")
    assert made.run.replicas == 4


def test_what_is_nova_and_what_is_an_open_model() -> None:
    assert nova_model("amazon.nova-micro-v1:0:128k") is MICRO
    assert nova_model("smollm2-135m") is None
    with pytest.raises(ConfigError, match=r"amazon\.titan"):
        nova_model("amazon.titan-text")
