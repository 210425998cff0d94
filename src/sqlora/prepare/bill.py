"""What training on a dataset costs on each backend, as `sqlora train` will say before it begins."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlora.cost.model import Option
    from sqlora.project import Project
    from sqlora.train.recipe import Recipe

KNOWN_PACE = "ml.g5.48xlarge"  # the only instance whose pace is published


def training_costs(project: Project, records: int, tokens: int) -> dict[str, Any]:
    """The bills of ``records`` training records of about ``tokens`` tokens, and of when the prices are.

    A total is None where a price or the pace is not known.
    """
    from sqlora.cost.prices import load_prices

    table = load_prices(project.cost.prices)
    options = {
        "bedrock": _bedrock(project, tokens, table),
        "sagemaker": _sagemaker(project, records, table),
        "local": _local(project),
    }
    return {
        "tokens": tokens,
        "backends": {name: option.as_dict() for name, option in options.items()},
        "prices": {"region": table.region, "currency": table.currency, "checked": table.checked.isoformat()},
    }


def _recipe(project: Project, backend: str) -> Recipe:
    """The project's own where it trains there, else that backend's default."""
    from sqlora.train.recipe import load_recipe

    if project.train.backend == backend:
        return load_recipe(project.recipe_name, project.train.overrides)
    return load_recipe("standard" if backend == "local" else "nova")


def _bedrock(project: Project, tokens: int, table: Any) -> Option:
    from sqlora.cost.prices import billed_model
    from sqlora.cost.training import bedrock_training

    epochs = max(1, int(_recipe(project, "bedrock").epochs))
    return bedrock_training(tokens, epochs, billed_model(project.aws.model), table)


def _sagemaker(project: Project, records: int, table: Any) -> Option:
    from sqlora.cost.model import Line, Option
    from sqlora.cost.prices import billed_model
    from sqlora.cost.training import nova_hours_estimate, sagemaker_training

    instance = project.aws.instance
    if instance != KNOWN_PACE:
        line = Line("SageMaker training job", None, f"hours on {instance} are not known before the first job")
        return Option("SageMaker training", (line,))
    epochs = max(1, int(_recipe(project, "sagemaker").epochs))
    model = billed_model(project.aws.model)
    return sagemaker_training(nova_hours_estimate(records, epochs), instance, table, model)


def _local(project: Project) -> Option:
    from sqlora.cost.model import Line, Option
    from sqlora.cost.training import local_training

    recipe = _recipe(project, "local")
    price = project.cost.price_per_hour
    if price is None:
        line = Line("this machine", Decimal(0), "nobody sends a bill for it; price_per_hour in [cost] reckons one")
        return Option("local training", (line,))
    if recipe.minutes is None:
        line = Line("this machine", None, f"recipe {recipe.name} has no limit of time; its hours are known afterwards")
        return Option("local training", (line,))
    hours = round(Decimal(str(recipe.minutes)) / 60, 4)
    option = local_training(hours, price)
    return Option(option.name, option.lines, f"at most: recipe {recipe.name} stops after {recipe.minutes:g} minutes")
