"""An open base model, trained by sqlora's own trainer in a container of SageMaker's; the adapter comes back here.

    channels   train, validation, job (recipe and seed), code (sqlora itself), base (a model of the user's own files)
    training   `sqlora.train.container`, by the job's own entry point, in AWS's image for PyTorch
    adapter    model.tar.gz of the output, checked as one from a stranger, becomes a local custom model

The recipe is the local one, and so are the losses, to the rounding of another processor. The checkpoint is in S3: a
spare instance that is taken away costs the steps since then, and a stopped or failed job can be resumed.
"""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlora.backends.adopt import adopt
from sqlora.backends.aws.data import upload_dataset
from sqlora.backends.aws.errors import aws_errors
from sqlora.backends.aws.jobs import Jobs
from sqlora.backends.aws.roles import role_arn
from sqlora.backends.aws.site import Site
from sqlora.backends.aws.storage import Storage, split
from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.backends.sagemaker import code
from sqlora.backends.sagemaker.way import channel, output_of
from sqlora.backends.systems import dataset_system
from sqlora.cost.model import Option
from sqlora.errors import BusyError, ConfigError, ModelError
from sqlora.models.adapter import CONFIG, LARGEST_FILE, LARGEST_JSON, MANIFEST, WEIGHTS, check_adapter
from sqlora.models.digest import hash_file
from sqlora.platform.ledger import Resource
from sqlora.platform.spec import JobSpec
from sqlora.prepare.dataset import Dataset, load_dataset

# Published by AWS on 2026-04-16 (github.com/aws/deep-learning-containers); what sqlora needs beyond it, the job's start
# installs.
IMAGE = (
    "763104351884.dkr.ecr.{region}.amazonaws.com/"
    "huggingface-pytorch-training:2.9.0-transformers5.3.0-gpu-py312-cu130-ubuntu22.04-v1.0"
)
_G = {"12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
# GPUs by family and size; other sizes of these families have one, other families none ("Amazon EC2 instance types").
GPUS: dict[str, dict[str, int]] = {
    "g4dn": {"12xlarge": 4}, "g5": _G, "g6": _G, "g6e": _G, "p4d": {"24xlarge": 8}, "p4de": {"24xlarge": 8},
    "p5": {"48xlarge": 8}, "p5e": {"48xlarge": 8}, "p5en": {"48xlarge": 8},
}  # fmt: skip
VOLUME_GB = 100  # base model, its conversion, checkpoints
RESULT = "result.json"
LARGEST = {WEIGHTS: LARGEST_FILE, CONFIG: LARGEST_JSON, MANIFEST: LARGEST_JSON, RESULT: LARGEST_JSON}  # bytes


class OpenTraining:
    """See `Way`."""

    def __init__(self, site: Site, storage: Storage, jobs: Jobs) -> None:
        self._site, self._storage, self._jobs = site, storage, jobs

    def capabilities(self) -> Capabilities:
        """See `Way`."""
        return Capabilities(
            self._site.backend, records=(8, None), resumable=True, detached=True, weights=True, billed=True
        )

    def estimate(self, request: TrainingRequest, base_model: str, dataset: Dataset) -> Option:
        """The most it can cost: the time limit × price. How long it takes on such an instance was never measured."""
        from sqlora.cost.prices import load_prices
        from sqlora.cost.training import sagemaker_training

        settings = self._site.settings
        prices = load_prices(self._site.project.settings.cost.prices)
        bill = sagemaker_training(settings.max_hours, settings.instance, prices)
        return replace(bill, name=f"{bill.name}, at most ([aws] max_hours)")

    def fingerprint(self, request: TrainingRequest, base_model: str) -> str:
        """See `Way`."""
        return self._spec(request, base_model).fingerprint()

    def _spec(self, request: TrainingRequest, base_model: str) -> JobSpec:
        seed = self._site.project.train.seed if request.seed is None else request.seed
        return JobSpec(base_model, request.dataset_id, request.recipe.model_dump(mode="json"), seed)

    # asking for it --------------------------------------------------------------------------------------------

    def details(self, request: TrainingRequest, base_model: str, dataset: Dataset) -> dict[str, Any]:
        """See `Way`."""
        settings = self._site.settings
        self.capabilities().check(request, sum(1 for _ in dataset.records("train")), base_model)
        if request.recipe.name == "nova":
            raise ConfigError(
                f"the recipe nova has Nova's rates, with which {base_model} learns nothing",
                'recipe = "standard" in [train] of sqlora.toml',
            )
        if settings.recipe:
            raise ConfigError(
                f"[aws.recipe] is for Nova, and {base_model} is trained by sqlora's own recipe",
                "the keys of the recipe in [train] of sqlora.toml",
            )
        processes = self._site.project.train.processes
        check_gpus(settings.instance, processes)
        spec = self._spec(request, base_model)
        return {
            "processes": processes,
            "recipe_values": spec.recipe,
            "seed": spec.seed,
            "image": settings.image or IMAGE.format(region=self._site.account.region),
            "instance": settings.instance,
            "seconds": int(settings.max_hours * 3600),
            "spot": settings.spot,
            "role": role_arn(self._site.account, self._site.state, "training"),
        }

    def parameters(self, row: Resource) -> dict[str, Any]:
        """See `Way`."""
        details, folder = row.details, self._site.project.paths.job(row.id)
        folder.mkdir(parents=True, exist_ok=True)
        dataset = load_dataset(self._site.project.paths.dataset(details["dataset_id"]))
        data = upload_dataset(self._storage, dataset)
        self._site.ledger.note(row.id, {"data": {name: each.arn for name, each in data.items()}})
        base = self._base(row, folder)
        uploads: dict[str, Resource] = {
            **{str(name): each for name, each in data.items()},
            "job": self._storage.upload(self._told(row, dataset, folder), f"jobs/{row.name}/spec.json"),
            "code": self._storage.upload(code.write_archive(folder / code.ARCHIVE), f"code/{code.ARCHIVE}"),
            **({"base": base} if base else {}),
        }
        output = output_of(self._storage, row)
        wait = {"MaxWaitTimeInSeconds": 2 * details["seconds"]} if details["spot"] else {}
        return {
            "AlgorithmSpecification": {
                "TrainingImage": details["image"],
                "TrainingInputMode": "File",
                "ContainerEntrypoint": code.ENTRYPOINT,
                "ContainerArguments": code.ARGUMENTS,
                "MetricDefinitions": [
                    {"Name": "training_loss", "Regex": r'"loss": ([0-9.eE+-]+)'},
                    {"Name": "validation_loss", "Regex": r'"validation_loss": ([0-9.eE+-]+)'},
                ],
            },
            "InputDataConfig": [channel(name, each.arn or "") for name, each in uploads.items()],
            "OutputDataConfig": {"CompressionType": "GZIP"},
            "CheckpointConfig": {"S3Uri": f"{output}/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
            "ResourceConfig": {
                "InstanceType": details["instance"],
                "InstanceCount": 1,
                "VolumeSizeInGB": VOLUME_GB,
            },
            "EnableManagedSpotTraining": details["spot"],
            **({"Environment": {code.PROCESSES: str(details["processes"])}} if details["processes"] > 1 else {}),
            "StoppingCondition": {"MaxRuntimeInSeconds": details["seconds"], **wait},
        }

    def _told(self, row: Resource, dataset: Dataset, folder: Path) -> Path:
        """spec.json for `sqlora.train.container`."""
        details = row.details
        path = _own_files(details["base_model"])
        told = {
            "base_model": details["base_model"],
            "base_path": path.name if path and path.is_file() else "." if path else None,
            "recipe": details["recipe_values"],
            "seed": details["seed"],
            "manifest": {
                "model_name": details["model_name"],
                "job_id": row.id,
                "dataset_id": details["dataset_id"],
                "system": dataset_system(dataset),
            },
        }
        file = folder / "spec.json"
        file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return file

    def _base(self, row: Resource, folder: Path) -> Resource | None:
        """The user's own model files in S3; None for a model that the container can fetch by its name."""
        path = _own_files(row.details["base_model"])
        if path is None:
            return None
        archive = folder / "base.tar"
        with tarfile.open(archive, "w") as opened:
            for file in [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file()):
                opened.add(file.resolve(), file.name, filter=_plain)
        try:
            return self._storage.upload(archive, f"base/{path.name}.tar")
        finally:
            archive.unlink()

    # when it is trained ---------------------------------------------------------------------------------------

    def finish(self, row: Resource, found: Mapping[str, Any]) -> Resource:
        """See `Way`: fetch the adapter, check it, register it."""
        try:
            with self._site.alone(row) as row:
                if self._jobs.of(row).ended:
                    return row
                try:
                    folder = self._fetch(row, found["ModelArtifacts"]["S3ModelArtifacts"])
                    told = self._adopt(row, folder)
                except ModelError as error:
                    return self._jobs.end(row, "Failed", failure_message=f"its adapter is of no use: {error.message}")
                return self._register(row, told)
        except BusyError:
            return row

    def _fetch(self, row: Resource, uri: str) -> Path:
        """The adapter's folder. Of the archive only known files are taken, of bounded size, by name alone."""
        here = self._site.project.paths.job(row.id)
        here.mkdir(parents=True, exist_ok=True)
        archive, folder = here / "model.tar.gz", here / "adapter"
        bucket, key = split(uri)
        with aws_errors(f"fetch {uri}"):
            self._site.account.client("s3").download_file(bucket, key, str(archive))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            with tarfile.open(archive) as opened:
                for member in opened:
                    name = member.name.removeprefix("./")
                    content = opened.extractfile(member) if name in LARGEST and member.isfile() else None
                    if content is not None:
                        if member.size > LARGEST[name]:
                            raise ModelError(f"{uri}: {name} has {member.size:,} bytes, more than {LARGEST[name]:,}")
                        with (folder / name).open("wb") as file:
                            shutil.copyfileobj(content, file, 2**20)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ModelError(f"{uri} is damaged: {error}") from error
        archive.unlink()
        return folder

    def _adopt(self, row: Resource, folder: Path) -> dict[str, Any]:
        """Put it where its model is to be; what the training told."""
        from sqlora.models.base import cached_base_model

        base = cached_base_model(row.details["base_model"])
        manifest = check_adapter(folder, base) if base else _check_alone(folder)
        if base:
            manifest |= {"base_model": base.name, "base_sha256": base.sha256}
        else:
            manifest |= {"base_model": row.details["base_model"]}
        id, paths = row.details["model_id"], self._site.project.paths
        adopt(folder, paths.model(id), {**manifest, "model_id": id}, paths.path)
        told: dict[str, Any] = _json(folder / RESULT) if (folder / RESULT).exists() else {}
        shutil.rmtree(folder, ignore_errors=True)
        return told

    def _register(self, row: Resource, told: Mapping[str, Any]) -> Resource:
        """The custom model and the end of its job, both or neither; its row in the ledger goes, for it is here now."""
        state, progress = self._site.state, row.details["progress"]
        losses = {name: told.get(name) for name in ("train_loss", "validation_loss")}
        with state.transaction():
            ended = self._jobs.end(
                row,
                "Completed",
                progress={**progress, "loss": losses["train_loss"], "validation_loss": losses["validation_loss"]},
            )
            state.models.create(
                row.details["model_name"],
                id=row.details["model_id"],
                base_model=row.details["base_model"],
                train_loss=losses["train_loss"],
                validation_loss=losses["validation_loss"],
            )
        return ended

    def discard(self, row: Resource) -> None:
        """See `Way`: nothing was fetched."""

    def resumable(self, row: Resource) -> bool:
        """See `Way`."""
        return row.details["status"] in ("Failed", "Stopped") and bool(row.details["submitted"])

    def again(self, row: Resource) -> dict[str, Any]:
        """See `Way`: another job of SageMaker's with the same checkpoints; one whose adapter only has to come, none."""
        return {} if row.details.get("trained") else {"attempt": row.details["attempt"] + 1}


def check_gpus(instance: str, processes: int) -> None:
    """ConfigError for GPUs that would be paid for and stand idle, or more processes than there are GPUs."""
    _, family, size = (*instance.split("."), "", "")[:3]
    there = GPUS.get(family, {}).get(size, 1) if family in GPUS else None
    if there is not None and there != processes:
        count = "one GPU" if there == 1 else f"{there} GPUs"
        raise ConfigError(
            f"{instance} has {count}, and [train] processes = {processes}: each process trains on one",
            f"processes = {there} in [train], or another instance in [aws], such as ml.g5.2xlarge with one GPU",
        )


def _own_files(base_model: str) -> Path | None:
    """The folder or .gguf file that a base model's name is; None for a known name or a hub's id."""
    path = Path(base_model).expanduser()
    return path if path.exists() else None


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner and time, so that the same model is the same archive."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _check_alone(folder: Path) -> dict[str, Any]:
    """The manifest of an adapter whose base model is not here: only its hash can be told. ModelError."""
    missing = [name for name in (CONFIG, WEIGHTS, MANIFEST) if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"the archive has no {', '.join(missing)}")
    manifest = _json(folder / MANIFEST)
    if manifest.get("weights_sha256") != hash_file(folder / WEIGHTS):
        raise ModelError(f"{WEIGHTS} is not the file that {MANIFEST} was written for")
    return manifest


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file.name} is not a JSON object")
    return found
