"""What is known of Nova's sizes: their recipes' paths, instances and image."""

from __future__ import annotations

import pytest

from sqlora.errors import ConfigError
from sqlora.train.nova import IMAGE_ACCOUNTS, MODELS, image, longest_record, parse_recipe


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.path)
def test_every_size_has_a_recipe_of_its_own(model: object) -> None:
    known = MODELS[model.id]  # type: ignore[attr-defined]
    values = {"run": {"model_type": known.id, "model_name_or_path": known.path}}
    parsed = parse_recipe(values | {"training_config": {"global_batch_size": known.batch_size}}, "recipe.yaml")
    assert (parsed.run.model_type, parsed.run.model_name_or_path) == (known.id, known.path)
    assert all(count > 0 for count in known.instances.values())


def test_only_large_instances_take_long_records() -> None:
    assert longest_record("ml.g6.48xlarge") == 8192
    assert longest_record("ml.p5en.48xlarge") == longest_record("ml.p4d.24xlarge") == 32768


def test_the_image_is_in_the_region_or_refused() -> None:
    for region, account in IMAGE_ACCOUNTS.items():
        assert image(region) == f"{account}.dkr.ecr.{region}.amazonaws.com/nova-fine-tune-repo:SM-TJ-SFT-latest"
    with pytest.raises(ConfigError, match="'eu-central-1'") as caught:
        image("eu-central-1")
    assert caught.value.next_step
