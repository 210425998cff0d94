"""What CreateTrainingJob asks for, checked as far as the call alone shows it; what lies in S3 is the job's to check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlora.errors import ConfigError
from sqlora.platform.objects import locate
from sqlora.serve.sagemaker.recipe_file import from_hyperparameters
from sqlora.train.nova import MODELS

# Where AWS trains Nova with LoRA: instance type → how many; which of them, the recipe's model decides.
INSTANCES: dict[str, set[int]] = {
    kind: {model.instances[kind] for model in MODELS.values() if kind in model.instances}
    for kind in dict.fromkeys(kind for model in MODELS.values() for kind in model.instances)
}
DEFAULT_RUNTIME, LONGEST_RUNTIME = 24 * 3600, 28 * 24 * 3600  # seconds
IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/nova-fine-tune-repo:SM-TJ-SFT-[\w.-]+")
CHANNELS = {"train": "train", "validation": "validation", "val": "validation", "recipe": "recipe"}
UNSUPPORTED = ("ServerlessJobConfig", "ModelPackageConfig", "MlflowConfig")


@dataclass(frozen=True)
class TrainingRequest:
    """A call's parameters, taken apart. ``recipe_uri`` is None where the hyperparameters say everything."""

    name: str
    training: str
    validation: str
    recipe_uri: str | None
    recipe_path: str
    output: str
    instance_type: str
    instances: int
    max_runtime_seconds: int
    values: Mapping[str, Any]
    tags: Mapping[str, str]


def read_request(params: Mapping[str, Any]) -> TrainingRequest:
    """Take the call's parameters apart; ConfigError lists every mistake."""
    problems: list[str] = [f"{name} is not supported on this server" for name in UNSUPPORTED if name in params]
    hyperparameters = params.get("HyperParameters", {})
    channels = _channels(params.get("InputDataConfig", ()), problems)
    resources = params.get("ResourceConfig", {})
    seconds = params.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_RUNTIME)
    if seconds > LONGEST_RUNTIME:
        problems.append(f"StoppingCondition.MaxRuntimeInSeconds = {seconds}: the most is {LONGEST_RUNTIME}, 28 days")
    _check_image(params.get("AlgorithmSpecification", {}), problems)
    _check_instances(resources, problems)
    output = params["OutputDataConfig"]["S3OutputPath"]
    _check_uri("OutputDataConfig.S3OutputPath", output, problems)
    values: dict[str, Any] = {}
    try:
        values = from_hyperparameters(hyperparameters)
        if not values and "recipe" not in channels:
            problems.append("there is no recipe: a channel named recipe, or its keys in HyperParameters, is needed")
    except ConfigError as error:
        problems.append(error.message)
    tags = tags_of(params.get("Tags", ()), problems)
    if problems:
        raise ConfigError("; ".join(problems))
    return TrainingRequest(
        params["TrainingJobName"],
        _records(channels["train"]),
        _records(channels["validation"]),
        channels.get("recipe"),
        hyperparameters.get("sagemaker_recipe_local_path", "").strip('"'),
        output,
        resources["InstanceType"],
        resources["InstanceCount"],
        seconds,
        values,
        tags,
    )


def tags_of(tags: Any, problems: list[str]) -> dict[str, str]:
    """Tags by key; a key that is there twice or AWS's own is added to ``problems``."""
    found: dict[str, str] = {}
    for tag in tags:
        if tag["Key"] in found:
            problems.append(f"the tag key {tag['Key']!r} is there twice")
        if tag["Key"].lower().startswith("aws:"):
            problems.append(f"the tag key {tag['Key']!r} begins with aws:, which is reserved")
        found[tag["Key"]] = tag["Value"]
    return found


def _channels(configs: Any, problems: list[str]) -> dict[str, str]:
    """URI by what the channel is for."""
    found: dict[str, str] = {}
    for config in configs:
        name = config["ChannelName"]
        purpose = CHANNELS.get(name)
        if purpose is None:
            problems.append(f"channel {name!r} is unknown; Nova has train, validation (or val) and recipe")
        elif purpose in found:
            problems.append(f"channel {name!r}: there is more than one for {purpose}")
        else:
            found[purpose] = _source(name, purpose, config, problems)
    problems.extend(f"channel {name!r} is missing" for name in ("train", "validation") if name not in found)
    return found


def _source(name: str, purpose: str, config: Mapping[str, Any], problems: list[str]) -> str:
    source = config["DataSource"].get("S3DataSource")
    if source is None:
        problems.append(f"channel {name!r} has no S3DataSource, the only source here")
        return ""
    wanted = ("S3Prefix",) if purpose == "recipe" else ("Converse",)
    if source["S3DataType"] not in wanted:
        problems.append(f"channel {name!r}: S3DataType {source['S3DataType']} where {wanted[0]} is needed")
    if source.get("S3DataDistributionType", "FullyReplicated") != "FullyReplicated":
        problems.append(f"channel {name!r}: S3DataDistributionType must be FullyReplicated")
    for key in ("CompressionType", "RecordWrapperType"):
        if config.get(key, "None") != "None":
            problems.append(f"channel {name!r}: {key} must be None")
    _check_uri(f"channel {name!r}: S3Uri", source["S3Uri"], problems)
    return str(source["S3Uri"])


def _check_uri(where: str, uri: str, problems: list[str]) -> None:
    try:
        locate(uri)
    except ConfigError as error:
        problems.append(f"{where}: {error.message}")


def _check_image(algorithm: Mapping[str, Any], problems: list[str]) -> None:
    image = algorithm.get("TrainingImage", "")
    if not IMAGE.fullmatch(image):
        problems.append(
            f"AlgorithmSpecification.TrainingImage {image!r} is not Nova's image for supervised fine-tuning, "
            "…/nova-fine-tune-repo:SM-TJ-SFT-latest, and this server trains nothing else"
        )


def _check_instances(resources: Mapping[str, Any], problems: list[str]) -> None:
    kind, count = resources.get("InstanceType"), resources.get("InstanceCount")
    if kind not in INSTANCES:
        problems.append(f"ResourceConfig.InstanceType {kind}: Nova trains on {', '.join(INSTANCES)}")
    elif count not in INSTANCES[kind]:
        allowed = " or ".join(map(str, sorted(INSTANCES[kind])))
        problems.append(f"ResourceConfig.InstanceCount {count}: Nova trains on {allowed} of {kind}")


def _records(uri: str) -> str:
    """A file of records, or a folder of them: S3 knows only prefixes, `Customizations` wants a slash at a folder."""
    return uri if uri.endswith((".jsonl", "/")) else f"{uri}/"
