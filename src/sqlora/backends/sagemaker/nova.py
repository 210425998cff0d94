"""A Nova model: trained by the recipe in Nova's own container, then imported into Bedrock.

    training   CreateTrainingJob with the channels train, validation and recipe
    manifest   where the checkpoint is, in a bucket of Amazon's
    import     CreateCustomModel from there, with the import role and the model row's token
    Active     only now is the job Completed

A process may die between any two; the next that looks at the job goes on. An import that failed can be had again
(`resume`) without training again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlora.backends.aws.data import FEWEST, MOST, check_dataset, upload_dataset
from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.jobs import Jobs
from sqlora.backends.aws.models import Models
from sqlora.backends.aws.roles import role_arn
from sqlora.backends.aws.site import Site
from sqlora.backends.aws.storage import Storage
from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.backends.sagemaker.manifest import escrow_of
from sqlora.backends.sagemaker.recipe import as_yaml, nova_recipe
from sqlora.backends.sagemaker.way import channel, output_of, training_name
from sqlora.cost.model import Option
from sqlora.errors import BusyError, ConfigError, ConflictError, DatasetError, FinalError
from sqlora.platform.ledger import Resource
from sqlora.platform.names import stamp
from sqlora.platform.spec import JobSpec
from sqlora.prepare.dataset import Dataset, load_dataset
from sqlora.train.nova import MODELS, image, parse_recipe

RECIPE_FILE = "recipe.yaml"
VOLUME_GB = 30  # what SageMaker's SDK asks for; these instances have disks of their own
# Of sqlora's recipe: what the file takes (`sqlora.train.nova`).
RANGES = {
    "epochs": (1.0, 1000.0),
    "batch_size": (16.0, 64.0),
    "learning_rate": (1e-7, 1e-3),
    "warmup_steps": (1.0, 20.0),
    "weight_decay": (0.0, 1.0),
    "alpha": (32.0, 192.0),
    "b_ratio": (0.0, 100.0),
}


class NovaTraining:
    """See `Way`."""

    def __init__(self, site: Site, storage: Storage, jobs: Jobs, models: Models) -> None:
        self._site, self._storage, self._jobs, self._models = site, storage, jobs, models

    def capabilities(self) -> Capabilities:
        """See `Way`."""
        return Capabilities(
            self._site.backend, (FEWEST, MOST), tuple(MODELS), RANGES, resumable=False, detached=True, billed=True
        )

    def estimate(self, request: TrainingRequest, base_model: str, dataset: Dataset) -> Option:
        """Hours × instances × price, and storage. The hours are reckoned at the one pace that AWS has published."""
        from sqlora.cost.prices import load_prices
        from sqlora.cost.training import nova_hours_estimate, sagemaker_training

        instance = self._site.settings.instance
        records = sum(1 for _ in dataset.records("train"))
        hours = nova_hours_estimate(records, math.ceil(request.recipe.epochs))
        count = MODELS[base_model].instances.get(instance, 1)
        prices = load_prices(self._site.project.settings.cost.prices)
        bill = sagemaker_training(hours * count, instance, prices, base_model)
        return bill if count == 1 else replace(bill, name=f"{bill.name} on {count} instances")

    def fingerprint(self, request: TrainingRequest, base_model: str) -> str:
        """See `Way`."""
        made = nova_recipe(request.recipe, self._site.settings, MODELS[base_model])
        return JobSpec(base_model, request.dataset_id, made.training_config.model_dump(mode="json")).fingerprint()

    # asking for it --------------------------------------------------------------------------------------------

    def details(self, request: TrainingRequest, base_model: str, dataset: Dataset) -> dict[str, Any]:
        """See `Way`."""
        settings = self._site.settings
        records = sum(1 for _ in dataset.records("train"))
        self.capabilities().check(request, records, base_model)
        model = MODELS[base_model]
        made = nova_recipe(request.recipe, settings, model)
        if settings.spot:
            raise ConfigError("Nova is not trained on spare instances", "spot = false in [aws] of sqlora.toml")
        if not check_dataset(dataset)["validation"]:
            raise DatasetError(
                f"dataset {dataset.id} has no validation records, and Nova's container wants some",
                "validation_share in [prepare] of sqlora.toml, then sqlora prepare",
            )
        config = made.training_config
        return {
            "recipe_values": made.model_dump(mode="json"),
            "image": image(self._site.account.region),
            "instance": settings.instance,
            "instances": model.instances[settings.instance],
            "seconds": int(settings.max_hours * 3600),
            "steps": math.ceil(records / config.global_batch_size) * config.trainer.max_epochs,
            "role": role_arn(self._site.account, self._site.state, "training"),
            "import_role": role_arn(self._site.account, self._site.state, "import"),
        }

    def parameters(self, row: Resource) -> dict[str, Any]:
        """See `Way`. ConflictError, before anything is spent, for a model's name that is taken in the account."""
        self._require_free(row.details["model_name"])
        details = row.details
        recipe = self._recipe(row)
        data = upload_dataset(self._storage, load_dataset(self._site.project.paths.dataset(details["dataset_id"])))
        self._site.ledger.note(row.id, {"data": {split: each.arn for split, each in data.items()}})
        return {
            "AlgorithmSpecification": {"TrainingImage": details["image"], "TrainingInputMode": "File"},
            "HyperParameters": {
                "base_model": details["recipe_values"]["run"]["model_name_or_path"],
                "sagemaker_recipe_local_path": f"/opt/ml/input/data/recipe/{RECIPE_FILE}",
            },
            "InputDataConfig": [
                *(channel(split, each.arn or "", "Converse") for split, each in data.items()),
                channel("recipe", recipe.arn or ""),
            ],
            "OutputDataConfig": {"CompressionType": "NONE"},
            "ResourceConfig": {
                "InstanceType": details["instance"],
                "InstanceCount": details["instances"],
                "VolumeSizeInGB": VOLUME_GB,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": details["seconds"]},
        }

    def _recipe(self, row: Resource) -> Resource:
        made = parse_recipe(row.details["recipe_values"], RECIPE_FILE)
        made = made.model_copy(update={"run": made.run.model_copy(update={"name": training_name(row)})})
        file = self._site.project.paths.job(row.id) / RECIPE_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(as_yaml(made), encoding="utf-8")
        return self._storage.upload(file, f"jobs/{row.name}/{RECIPE_FILE}")

    def _require_free(self, name: str) -> None:
        with aws_errors(f"look whether the custom model's name {name!r} is free"):
            try:
                self._bedrock.get_custom_model(modelIdentifier=name)
            except Exception as error:
                if is_missing(error):
                    return
                raise
        raise ConflictError(f"a custom model named {name!r} exists already in the account", "another --name")

    # when it is trained ---------------------------------------------------------------------------------------

    def finish(self, row: Resource, found: Mapping[str, Any]) -> Resource:
        """See `Way`: import, and look how that stands."""
        try:
            with self._site.alone(row) as row:
                return row if self._jobs.of(row).ended else self._import(row)
        except BusyError:  # another process is at it
            return row

    def _import(self, row: Resource) -> Resource:
        escrow = row.details.get("escrow")
        if escrow is None:
            output = output_of(self._storage, row)
            escrow = escrow_of(self._storage, output, training_name(row))
            if escrow is None:
                message = f"the job is completed, but there is no manifest.json with a checkpoint under {output}"
                return self._jobs.end(row, "Failed", failure_message=message)
            row = self._jobs.note(row, escrow=escrow)
        model = self._site.ledger.get(row.details["model_id"])
        if model.status == "planned":
            model = self._create(model, row)
        with aws_errors(f"look at the custom model {model.name!r}"):
            seen = self._bedrock.get_custom_model(modelIdentifier=model.arn)
        return self._see(row, model, seen)

    def _create(self, model: Resource, row: Resource) -> Resource:
        """planned → created, not twice. What is refused leaves the job as it is: what was trained can be imported."""
        arn = self._models.find_arn(model)
        if arn is None:
            key = self._site.settings.kms_key
            try:
                with aws_errors(
                    f"import the custom model {model.name!r}", f"correct that, then sqlora jobs watch {row.id}"
                ):
                    arn = self._bedrock.create_custom_model(
                        modelName=model.name,
                        roleArn=row.details["import_role"],
                        modelSourceConfig={"s3DataSource": {"s3Uri": row.details["escrow"]}},
                        modelTags=self._site.bedrock_tags(model),
                        **({"modelKmsKeyArn": key} if key else {}),
                        clientRequestToken=model.token,
                    )["modelArn"]
            except FinalError:
                arn = self._models.find_arn(model)  # one of boto3's own tries may have come through after all
                if arn is None:
                    raise
        return self._site.ledger.created(model.id, arn, {"status": "Creating"})

    def _see(self, row: Resource, model: Resource, seen: Mapping[str, Any]) -> Resource:
        status, progress = seen.get("modelStatus", "Active"), row.details["progress"]
        if status == "Creating":
            return self._jobs.note(row, progress={**progress, "phase": "import", "message": "import into Bedrock"})
        if status == "Failed":
            message = f"the import into Bedrock failed: {seen.get('failureMessage', 'no reason given')}"
            self._models.remove(model)
            return self._jobs.end(row, "Failed", failure_message=message)
        losses = {"train_loss": progress.get("loss"), "validation_loss": progress.get("validation_loss")}
        self._site.ledger.note(model.id, {"status": "Active", "created_at": stamp(seen["creationTime"]), **losses})
        return self._jobs.end(row, "Completed", model_arn=model.arn, progress={**progress, "phase": "import"})

    def discard(self, row: Resource) -> None:
        """See `Way`."""
        model = self._site.ledger.get(row.details["model_id"])
        if model.status != "deleted":
            self._models.remove(model)

    def resumable(self, row: Resource) -> bool:
        """See `Way`: the container keeps no checkpoint to train on from, but what is trained can be imported."""
        return bool(row.details.get("trained")) and row.details["status"] == "Failed"

    def again(self, row: Resource) -> dict[str, Any]:
        """See `Way`; the role may be another by now."""
        return {"import_role": role_arn(self._site.account, self._site.state, "import")}

    @property
    def _bedrock(self) -> Any:
        return self._site.account.client("bedrock")
