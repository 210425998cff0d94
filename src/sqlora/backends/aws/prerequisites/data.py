"""The dataset and the recipe are such as the service takes, and what the training will cost."""

from __future__ import annotations

import json
from pathlib import Path

from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.aws.data import FEWEST, MOST, SPLITS, check_dataset
from sqlora.backends.aws.needs import is_nova
from sqlora.backends.aws.prerequisites.result import Result
from sqlora.backends.aws.site import Site
from sqlora.backends.base import TrainingRequest
from sqlora.cost.model import dollars
from sqlora.cost.training import count_tokens_estimate
from sqlora.errors import NotFoundError
from sqlora.prepare import list_datasets
from sqlora.prepare.dataset import Dataset
from sqlora.prepare.limits import BEDROCK_TOKENS
from sqlora.train.nova import MODELS
from sqlora.train.recipe import Recipe, load_recipe


def dataset(site: Site) -> Result:
    """Every record is one that the service takes, and there are enough and not too many."""
    newest = _newest(site)
    if not is_nova(site):  # sqlora's own trainer takes any text; how many records, `hyperparameters` says
        return Result("records", "pass", f"dataset {newest.id}: {_records(newest):,} train")
    counts = check_dataset(newest)
    text = f"dataset {newest.id}: " + ", ".join(f"{counts[split]:,} {split}" for split in SPLITS)
    if site.backend == "sagemaker" and not counts["validation"]:
        fix = "validation_share in [prepare] of sqlora.toml, then sqlora prepare"
        return Result("records", "fail", f"{text}; Nova's container wants some to validate by", fix)
    return Result("records", "pass", f"{text}; {FEWEST} to {MOST:,} are taken, all in order")


def tokens(site: Site) -> Result:
    """No record is longer than what the model reads while training."""
    newest, most = _newest(site), _longest_read(site)
    length, place = max((_longest(newest.path(split)) for split in SPLITS), key=lambda each: each[0])
    text = f"the longest record has about {length:,} tokens ({place}); {most:,} are read while training"
    if length > most:
        return Result("tokens", "fail", text, "fewer tables in the schema, or leave that record out; sqlora prepare")
    return Result("tokens", "pass", text)


def _longest_read(site: Site) -> int:
    model = MODELS.get(site.settings.model)
    if site.backend == "bedrock" or model is None:
        return BEDROCK_TOKENS
    from sqlora.backends.sagemaker.recipe import nova_recipe

    return nova_recipe(_recipe(site), site.settings, model).training_config.max_length


def _longest(file: Path) -> tuple[int, str]:
    """Its tokens, estimated as the bill's are, and where it is."""
    longest = (0, "")
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                longest = max(longest, (count_tokens_estimate([json.loads(line)]), f"{file.name} line {number}"))
    return longest


def recipe(site: Site) -> Result:
    """The backend can follow the recipe: its ranges, and no key that it could not be told."""
    loaded, newest = _recipe(site), _newest(site)
    with _backend(site) as backend:
        backend.capabilities.check(TrainingRequest(newest.id, loaded), _records(newest), site.settings.model)
    model = MODELS.get(site.settings.model)
    if site.backend == "bedrock":
        from sqlora.backends.bedrock import check_recipe

        check_recipe(loaded)
    elif model is not None:
        from sqlora.backends.sagemaker.recipe import nova_recipe

        nova_recipe(loaded, site.settings, model)
        if site.settings.spot:
            fix = "spot = false in [aws] of sqlora.toml"
            return Result("hyperparameters", "fail", "Nova is not trained on spare instances", fix)
    return Result("hyperparameters", "pass", f"recipe {loaded.name}: {loaded.epochs:g} epochs")


def bill(site: Site) -> Result:
    """What the training will cost, as `sqlora train` will show it."""
    loaded = _recipe(site)
    with _backend(site) as backend:
        option = backend.estimate(TrainingRequest(_newest(site).id, loaded))
    if option is None:
        return Result("bill", "pass", "nothing is billed")
    text = "; ".join(f"{line.name} {dollars(line.amount)} ({line.formula})" for line in option.lines)
    if option.total is None:
        return Result("bill", "unknown", f"{option.name}: {text}", "sqlora cost --prices FILE gives the missing price")
    limit = site.settings.confirm_above
    asks = f"; sqlora train asks first, for it is above {limit:g}" if option.total > limit else ""
    return Result("bill", "pass", f"about {dollars(option.total)}: {text}{asks}")


def _recipe(site: Site) -> Recipe:
    """That of the project for this backend, as `sqlora train` takes it."""
    return load_recipe(site.project.recipe_name, site.project.train.overrides)


def _backend(site: Site) -> AwsBackend:
    """The backend itself; it leaves state and account open."""
    if site.backend == "bedrock":
        from sqlora.backends.bedrock import BedrockBackend

        return BedrockBackend(site.project, site.state, site.account)
    from sqlora.backends.sagemaker import SageMakerBackend

    return SageMakerBackend(site.project, site.state, site.account)


def _records(dataset: Dataset) -> int:
    return sum(1 for _ in dataset.records("train"))


def _newest(site: Site) -> Dataset:
    found = list_datasets(site.project.state)
    if not found:
        raise NotFoundError("there is no dataset yet", "sqlora prepare")
    return found[0]
