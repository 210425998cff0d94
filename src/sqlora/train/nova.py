"""Nova's recipe for supervised fine-tuning with LoRA: the file that AWS's training image reads, and where it runs.

Shape, defaults and limits are those of ``nova_<size>_1_0_…_gpu_lora_sft.yaml`` in aws/sagemaker-hyperpod-recipes (as of
2026-06); a key that it has not is refused. The limits of lr and max_epochs are not AWS's: none were found, and these
refuse what could only be a slip. The backend writes such files (`sqlora.backends.sagemaker.recipe`), the local server
reads them (`sqlora.serve.sagemaker.recipe`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sqlora.errors import ConfigError

LARGE = ("ml.p4d.", "ml.p5.", "ml.p5en.")  # these take records of 32,768 tokens, the others of 8,192
IMAGE_NAME = "nova-fine-tune-repo:SM-TJ-SFT-latest"
# The account whose registry has the image, by region (nova-forge-sdk).
IMAGE_ACCOUNTS = {"us-east-1": "708977205387", "us-west-2": "176779409107", "eu-west-2": "470633809225"}
LONGEST_SHOWN = 60  # characters of a value in an error
_SMALL = {"ml.g5.12xlarge": 1, "ml.g6.12xlarge": 1, "ml.g5.48xlarge": 1, "ml.g6.48xlarge": 1}


@dataclass(frozen=True)
class NovaModel:
    """A size of Nova: what the recipe calls it, and instance type → how many of them train it."""

    id: str
    path: str
    instances: Mapping[str, int]
    batch_size: int = 64


MODELS: dict[str, NovaModel] = {
    model.id: model
    for model in (
        NovaModel(
            "amazon.nova-micro-v1:0:128k",
            "nova-micro/prod",
            _SMALL | {"ml.p4d.24xlarge": 2, "ml.p5.48xlarge": 1, "ml.p5en.48xlarge": 1},
        ),
        NovaModel(
            "amazon.nova-lite-v1:0:300k",
            "nova-lite/prod",
            _SMALL | {"ml.p4d.24xlarge": 4, "ml.p5.48xlarge": 4, "ml.p5en.48xlarge": 4},
        ),
        NovaModel(
            "amazon.nova-pro-v1:0:300k",
            "nova-pro/prod",
            {"ml.p4d.24xlarge": 6, "ml.p5.48xlarge": 6, "ml.p5en.48xlarge": 6},
            batch_size=32,
        ),
    )
}
MODEL_NAMES = tuple(model.path for model in MODELS.values())
_CONTEXT = re.compile(r":[0-9]+k$")


def without_context(id: str) -> str:
    """The id that answers, of one that is customised: amazon.nova-lite-v1:0:300k → amazon.nova-lite-v1:0."""
    return _CONTEXT.sub("", id)


def longest_record(instance_type: str) -> int:
    """The largest ``max_length`` on such instances, tokens."""
    return 32768 if instance_type.startswith(LARGE) else 8192


def image(region: str) -> str:
    """The training image's address; ConfigError for a region that has none."""
    if region not in IMAGE_ACCOUNTS:
        raise ConfigError(
            f"no training image of Nova is known in the region {region!r}; there is one in {', '.join(IMAGE_ACCOUNTS)}",
            'region = "us-east-1" in [aws] of sqlora.toml',
        )
    return f"{IMAGE_ACCOUNTS[region]}.dkr.ecr.{region}.amazonaws.com/{IMAGE_NAME}"


def one_of(*allowed: int) -> AfterValidator:
    """A number that must be among ``allowed``; unlike Literal it may be written as text, as hyperparameters are."""

    def check(value: int) -> int:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(map(str, allowed))}")
        return value

    return AfterValidator(check)


def _empty(value: str) -> str:
    if value:
        raise ValueError("is of HyperPod and must be empty; a training job's data comes through its channels")
    return value


def _whole_kilotokens(value: int) -> int:
    if value % 1024:
        raise ValueError("must be a multiple of 1024")
    return value


def _nova(value: str) -> str:
    if value.startswith("s3://"):
        raise ValueError(f"an earlier checkpoint cannot be trained further; one of {', '.join(MODEL_NAMES)}")
    if value not in MODEL_NAMES:
        raise ValueError(f"must be one of {', '.join(MODEL_NAMES)}")
    return value


def _lora(value: str | None) -> str | None:
    if value != "lora":
        raise ValueError("must be lora: what trains all weights cannot be deployed on demand")
    return value


Share = Annotated[float, Field(ge=0, le=1)]
Unused = Annotated[str | None, Field(max_length=2048)]
HyperPodOnly = Annotated[str, AfterValidator(_empty)]
MLFLOW = ("mlflow_tracking_uri", "mlflow_experiment_name", "mlflow_run_name")


class Part(BaseModel):
    """A level of the recipe: known keys only."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Run(Part):
    """``run``: what is trained and where; all of it is fixed here."""

    name: str = "my-lora-run"
    model_type: str = Field("amazon.nova-micro-v1:0:128k", pattern=r"^amazon\.nova-(micro|lite|pro)-v1:0(:\d+k)?$")
    model_name_or_path: Annotated[str, AfterValidator(_nova)] = "nova-micro/prod"
    replicas: int = Field(1, ge=1)
    data_s3_path: HyperPodOnly = ""
    output_s3_path: HyperPodOnly = ""
    mlflow_tracking_uri: Unused = ""
    mlflow_experiment_name: Unused = ""
    mlflow_run_name: Unused = ""


class Schedule(Part):
    """``training_config.model.optim.sched``."""

    warmup_steps: int = Field(10, ge=1, le=20)
    constant_steps: int = Field(0, ge=0)
    min_lr: float = Field(1e-6, ge=0, lt=1)


class Optimizer(Part):
    """``training_config.model.optim``."""

    lr: float = Field(1e-5, ge=1e-7, le=1e-3)
    name: Literal["distributed_fused_adam"] = "distributed_fused_adam"
    adam_w_mode: bool = True
    eps: float = Field(1e-6, gt=0, lt=1)
    weight_decay: Share = 0.0
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    sched: Schedule = Schedule()


class LoraTuning(Part):
    """``training_config.model.peft.lora_tuning``."""

    alpha: Annotated[int, one_of(32, 64, 96, 128, 160, 192)] = 128
    adapter_dropout: Share = 0.01
    loraplus_lr_ratio: float = Field(16.0, ge=0, le=100)


class Peft(Part):
    """``training_config.model.peft``."""

    peft_scheme: Annotated[str | None, AfterValidator(_lora)] = "lora"
    lora_tuning: LoraTuning = LoraTuning()


class Model(Part):
    """``training_config.model``."""

    hidden_dropout: Share = 0.0
    attention_dropout: Share = 0.0
    ffn_dropout: Share = 0.0
    optim: Optimizer = Optimizer()
    peft: Peft = Peft()


class Trainer(Part):
    """``training_config.trainer``."""

    max_epochs: int = Field(2, ge=1, le=1000)


class TrainingConfig(Part):
    """``training_config``."""

    max_length: Annotated[int, Field(ge=1024, le=32768), AfterValidator(_whole_kilotokens)] = 8192
    global_batch_size: Annotated[int, one_of(16, 32, 64)] = 64
    trainer: Trainer = Trainer()
    model: Model = Model()


class NovaRecipe(Part):
    """The whole file."""

    run: Run = Run()
    training_config: TrainingConfig = TrainingConfig()


def parse_recipe(values: Mapping[str, Any], origin: str) -> NovaRecipe:
    """Check a recipe's values; ConfigError lists every mistake, each by its key, after ``origin``."""
    try:
        return NovaRecipe.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{origin}: " + "; ".join(_mistake(dict(each)) for each in error.errors())) from None


def _mistake(error: dict[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{key} is not a key of this recipe"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{key} = {_short(error['input'])}: {message}"


def _short(value: Any) -> str:
    # A recipe is a client's: a YAML of few bytes may hold a structure that takes gigabytes to print.
    if not isinstance(value, str | int | float | bool | None):
        return f"a {type(value).__name__}"
    text = repr(value[:LONGEST_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``under`` with the values of ``over`` in their places; no deeper than ``over`` is."""
    result = dict(under)
    for key, value in over.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(value, Mapping) and isinstance(known, Mapping) else value
    return result


def leaves(model: type[BaseModel] = NovaRecipe, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the recipe, as a path."""
    found: list[tuple[str, ...]] = []
    for name, known in model.model_fields.items():
        inner = known.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        found += leaves(inner, (*path, name)) if nested else [(*path, name)]  # type: ignore[arg-type]
    return found
