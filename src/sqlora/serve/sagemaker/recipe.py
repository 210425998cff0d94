"""A Nova recipe (YAML) and what its values mean for the local base model.

Shape, defaults and limits: `nova_micro_1_0_g5_g6_48x_gpu_lora_sft.yaml` of aws/sagemaker-hyperpod-recipes; a
key that it has not is refused. Nova's values stay as they are in the file, and this table says what they train here:

| the recipe's | limits | default | the local recipe's |
|---|---|---|---|
| trainer.max_epochs | 1 – 1000 | 2 | epochs, as given |
| global_batch_size | 16, 32, 64 | 64 | batch_size = global_batch_size / 16, so 1, 2, 4 |
| model.optim.lr | 1e-7 – 1e-3 | 1e-5 | learning_rate = 2.5e-3 · √(lr / 1e-5), as for Bedrock's jobs |
| model.optim.sched.warmup_steps | 1 – 20 | 10 | warmup_steps, as given |
| model.optim.weight_decay | 0 – 1 | 0 | weight_decay, as given (1 becomes 0.999) |
| model.peft.lora_tuning.alpha | 32, 64 … 192 | 128 | alpha = alpha / 4, so 8, 16 … 48, over the rank of 16 |
| model.peft.lora_tuning.loraplus_lr_ratio | 0 – 100 | 16 | b_ratio = ratio / 16, a ratio below 1 counting as 1 |
| max_length | 1024 – 8192 (p4d, p5: 32768), × 1024 | 8192 | checked only: the base model's context bounds a record |
| the four dropouts | 0 – 1 | 0; adapter 0.01 | checked only: the local trainer has no dropout |
| sched.constant_steps, sched.min_lr, optim's adam values | | | checked only: the local trainer has its own |
| peft.peft_scheme | lora | lora | null, all weights, is refused: there is no on-demand deployment of such |
| run.model_type, run.model_name_or_path | a Nova model | micro | the project's base model; a checkpoint is refused |
| run.replicas | the job's InstanceCount | 1 | checked only: one machine trains |
| run.data_s3_path, run.output_s3_path | empty | empty | of HyperPod; a training job has channels |
| run.mlflow_* | any text | | nothing is sent to MLflow |

So the recipe as it comes trains with the local recipe's measured defaults (docs/LOG.md). The service trains all its
epochs, so nothing stops early; the adapter kept is that of the best validation. The limits of lr and max_epochs are
not AWS's: none were found, and these refuse what could only be a slip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sqlora.errors import ConfigError
from sqlora.platform.hyperparameters import NEVER, local_rate
from sqlora.train.recipe import Recipe

RECIPE_NAME = "sagemaker"
LARGEST_DECAY = 0.999
LONGEST_SHOWN = 60  # characters of a value in an error
MODEL_NAMES = ("nova-micro/prod", "nova-lite/prod", "nova-pro/prod")


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
        raise ValueError(f"an earlier checkpoint cannot be trained further here; one of {', '.join(MODEL_NAMES)}")
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

    def local(self) -> Recipe:
        """What it trains here; the module's table."""
        config, optimizer = self.training_config, self.training_config.model.optim
        lora = config.model.peft.lora_tuning
        return Recipe(
            name=RECIPE_NAME,
            epochs=config.trainer.max_epochs,
            batch_size=config.global_batch_size // 16,
            learning_rate=local_rate(optimizer.lr),
            warmup_steps=optimizer.sched.warmup_steps,
            weight_decay=min(optimizer.weight_decay, LARGEST_DECAY),
            alpha=lora.alpha / 4,
            b_ratio=max(lora.loraplus_lr_ratio, 1.0) / 16,
            patience=NEVER,
        )


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


def leaves(model: type[BaseModel] = NovaRecipe, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the recipe, as a path."""
    found: list[tuple[str, ...]] = []
    for name, known in model.model_fields.items():
        inner = known.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        found += leaves(inner, (*path, name)) if nested else [(*path, name)]  # type: ignore[arg-type]
    return found
