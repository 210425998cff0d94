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
from sqlora.train.nova import longest_record
from sqlora.train.recipe import Recipe, load_recipe

BEDROCK_TOKENS = 32_000  # of one record while training; Nova's user guide


def dataset(site: Site) -> Result:
    """Every record is one that the service takes, and there are enough and not too many."""
    newest = _newest(site)
    if not is_nova(site):
        count = sum(1 for _ in newest.records("train"))
        text = f"dataset {newest.id}: {count:,} training records"
        return Result("records", "pass" if count else "fail", text, "sqlora prepare")
    counts = check_dataset(newest)
    text = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS)
    return Result("records", "pass", f"dataset {newest.id}: {text}; {FEWEST} to {MOST:,} are taken, all in order")


def tokens(site: Site) -> Result:
    """No record is longer than what the model reads while training."""
    newest = _newest(site)
    most = BEDROCK_TOKENS if site.backend == "bedrock" else longest_record(site.settings.instance)
    length, place = max((_longest(newest.path(split)) for split in SPLITS), key=lambda each: each[0])
    text = f"the longest record has about {length:,} tokens ({place}); {most:,} are read while training"
    if length > most:
        return Result("tokens", "fail", text, "fewer tables in the schema, or leave that record out; sqlora prepare")
    return Result("tokens", "pass", text)


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
    loaded = _recipe(site)
    newest = _newest(site)
    with _backend(site) as backend:
        request = TrainingRequest(newest.id, loaded)
        backend.capabilities.check(request, sum(1 for _ in newest.records("train")), site.settings.model)
    if site.backend == "bedrock":
        from sqlora.backends.bedrock import check_recipe

        check_recipe(loaded)
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
    return load_recipe(site.project.recipe_name, site.project.train.overrides)


def _backend(site: Site) -> AwsBackend:
    """The backend itself; it leaves state and account open."""
    if site.backend == "bedrock":
        from sqlora.backends.bedrock import BedrockBackend

        return BedrockBackend(site.project, site.state, site.account)
    from sqlora.backends.sagemaker import SageMakerBackend

    return SageMakerBackend(site.project, site.state, site.account)


def _newest(site: Site) -> Dataset:
    found = list_datasets(site.project.state)
    if not found:
        raise NotFoundError("there is no dataset yet", "sqlora prepare")
    return found[0]
