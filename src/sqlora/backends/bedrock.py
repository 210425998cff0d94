"""Amazon Bedrock, managed: a customization job of a Nova model, and on-demand deployments of what it makes.

    plan      names taken, rows in the ledger                 before anything is spent
    upload    the records to S3, once                         by their content
    submit    CreateModelCustomizationJob                     with the row's token, after a look by name
    wait      GetModelCustomizationJob, the metric files      by whichever process asks
    end       the model is in the ledger, or its name is free

A process may die between any two of them; `wait` goes on from where the ledger stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.aws.data import check_dataset, explain_failure, upload_dataset
from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.metrics import Loss, read_losses
from sqlora.backends.aws.roles import role_arn
from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.backends.systems import dataset_system
from sqlora.cost.model import Option
from sqlora.errors import BusyError, ConfigError, ConflictError, FinalError
from sqlora.platform.hyperparameters import RANGES
from sqlora.platform.jobs import Job
from sqlora.platform.ledger import Resource
from sqlora.platform.names import stamp
from sqlora.platform.spec import JobSpec
from sqlora.prepare.dataset import Dataset, load_dataset
from sqlora.train.recipe import BUILT_IN, Recipe

# The recipe's key → the service's; sqlora.platform.hyperparameters has their ranges.
HYPERPARAMETERS = {
    "epochs": "epochCount",
    "learning_rate": "learningRate",
    "warmup_steps": "learningRateWarmupSteps",
}
# The service's sub-states, in their order, and what we call them.
PHASES = {
    "validationDetails": "validation of the data",
    "dataProcessingDetails": "data processing",
    "trainingDetails": "training",
}


class BedrockBackend(AwsBackend):
    """`Backend` that trains by Bedrock's model customization."""

    name: ClassVar[str] = "bedrock"

    @property
    def capabilities(self) -> Capabilities:
        """See `Capabilities`."""
        ranges = {key: (RANGES[name].least, RANGES[name].most) for key, name in HYPERPARAMETERS.items()}
        return replace(super().capabilities, hyperparameters=ranges)

    def estimate(self, request: TrainingRequest) -> Option:
        """See `Backend`: tokens × epochs × price, and storage. The tokens are estimated: Nova's tokenizer is secret."""
        from sqlora.cost.prices import load_prices
        from sqlora.cost.training import bedrock_training, count_tokens_estimate

        dataset = self._check(request)
        tokens = count_tokens_estimate(dataset.path("train"))
        prices = load_prices(self.project.cost.prices)
        return bedrock_training(tokens, int(request.recipe.epochs), self.base_model(request), prices)

    def fingerprint(self, request: TrainingRequest) -> str:
        """See `AwsBackend`: what the service is told, and no more."""
        return JobSpec(self.base_model(request), request.dataset_id, {**hyperparameters(request.recipe)}).fingerprint()

    def _dataset(self, request: TrainingRequest) -> Dataset:
        return load_dataset(self.project.paths.dataset(request.dataset_id))

    # submitting -----------------------------------------------------------------------------------------------

    def submit_training(self, request: TrainingRequest) -> Job:
        """See `Backend`; returns when Bedrock has the job. ServiceError leaves it planned: `wait` submits it then."""
        dataset = self._check(request)
        details = {
            "hyperparameters": hyperparameters(request.recipe),
            "role": role_arn(self.account, self.state, "customization"),
            "bucket": self.storage.bucket(),
            "progress": _progress("submission"),
        }
        planned = self._jobs.plan(
            request,
            base_model=self.base_model(request),
            fingerprint=self.fingerprint(request),
            system=dataset_system(dataset),
            details=details,
        )
        return self._jobs.of(self._submit(planned.job))

    def _check(self, request: TrainingRequest) -> Dataset:
        """ConfigError or DatasetError, with all that is wrong, before anything is written or spent."""
        dataset = self._dataset(request)
        self.capabilities.check(request, sum(1 for _ in dataset.records("train")), self.base_model(request))
        check_recipe(request.recipe)
        check_dataset(dataset)
        return dataset

    def _submit(self, row: Resource) -> Resource:
        """planned → created, not twice: what an earlier try has made is found by its name and tag.

        What Bedrock refuses for good is dropped, and its names are free. BusyError while another process is at it.
        """
        with self.site.alone(row) as row:
            if row.status != "planned" or self._jobs.of(row).ended:
                return row
            self.site.require_here(row)
            arn = self._find_arn(row)
            if arn is None:
                try:
                    arn = self._create(row)
                except FinalError:
                    arn = self._find_arn(row)  # one of boto3's own tries may have come through after all
                    if arn is None:
                        self._jobs.drop(row)
                        raise
            return self.state.ledger.created(row.id, arn)

    def _create(self, row: Resource) -> str:
        details = row.details
        data = upload_dataset(self.storage, load_dataset(self.project.paths.dataset(details["dataset_id"])))
        self.state.ledger.note(row.id, {"data": {split: each.arn for split, each in data.items()}})
        validators = [{"s3Uri": data["validation"].arn}] if "validation" in data else []
        model = self.state.ledger.get(details["model_id"])
        with aws_errors(
            f"submit the job {row.name!r}", "another --name, if that is taken; sqlora doctor checks the rest"
        ):
            made = self._bedrock.create_model_customization_job(
                jobName=row.name,
                customModelName=model.name,
                roleArn=details["role"],
                customizationType="FINE_TUNING",
                baseModelIdentifier=details["base_model"],
                trainingDataConfig={"s3Uri": data["train"].arn},
                **({"validationDataConfig": {"validators": validators}} if validators else {}),
                outputDataConfig={"s3Uri": self._output(row)},
                hyperParameters=details["hyperparameters"],
                **({"customModelKmsKeyId": self.project.aws.kms_key} if self.project.aws.kms_key else {}),
                jobTags=self.site.bedrock_tags(row),
                customModelTags=self.site.bedrock_tags(model),
                clientRequestToken=row.token,
            )
        arn: str = made["jobArn"]
        return arn

    def _output(self, row: Resource) -> str:
        """The job's own folder in S3, in the ledger before anything is in it."""
        return self.storage.folder(f"jobs/{row.name}", row.id).arn or ""

    def _find_arn(self, row: Resource) -> str | None:
        """The ARN of the row's job in the account, by its name and tag; None when it was never made."""
        with aws_errors(f"look for the job {row.name!r}"):
            try:
                arn: str = self._bedrock.get_model_customization_job(jobIdentifier=row.name)["jobArn"]
                return arn if self.site.is_ours(arn, row) else None
            except Exception as error:
                if is_missing(error):
                    return None
                raise

    @property
    def _bedrock(self) -> Any:
        return self.account.client("bedrock")

    # following ------------------------------------------------------------------------------------------------

    def job(self, id: str) -> Job:
        """See `Backend`."""
        return self._jobs.of(self._refresh(self._jobs.row(id)))

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """See `Backend`: throttling, a closed laptop and the like are waited out; expired credentials are not."""
        row, shown = self._jobs.row(id), None

        def look() -> Job | None:
            nonlocal shown
            with suppress(BusyError):  # another process submits it
                if self._jobs.row(row.id).arn is None:
                    self._submit(row)
            job = self.job(row.id)
            if job != shown:
                shown = job
                on_progress(job)
            return job if job.ended else None

        return self.site.polling.until(look, f"job {row.name!r}")

    def stop(self, id: str) -> Job:
        """See `Backend`. Bedrock bills what was trained until then, and keeps nothing of it."""
        row = self._jobs.row(id)
        with self.site.alone(row):
            row = self._refresh(row)
            if self._jobs.of(row).ended:
                raise ConflictError(f"job {row.name!r} is {row.details['status']}", f"sqlora jobs show {row.id}")
            if row.arn is None:
                return self._jobs.of(self._jobs.end(row, "Stopped"))
            with aws_errors(f"stop the job {row.name!r}"):
                self._bedrock.stop_model_customization_job(jobIdentifier=row.arn)
        return self.job(row.id)

    def _refresh(self, row: Resource) -> Resource:
        """The row as AWS says now; what has ended stays as it was."""
        if self._jobs.of(row).ended:
            return row
        self.site.require_here(row)
        if row.arn is None:
            arn = self._find_arn(row)
            if arn is None:
                return row
            row = self.state.ledger.created(row.id, arn)
        with aws_errors(f"look at the job {row.name!r}"):
            found = self._bedrock.get_model_customization_job(jobIdentifier=row.arn)
        return self._see(row, found)

    def _see(self, row: Resource, found: Mapping[str, Any]) -> Resource:
        status, training, validation = found["status"], *self._losses(row, found)
        progress = _progress(*_phase(found), training, validation)
        if status in ("InProgress", "Stopping"):
            return self._jobs.note(row, status=status, progress=progress)
        message = found.get("failureMessage")
        return self._jobs.end(
            row,
            status,
            ended_at=stamp(found["endTime"]) if "endTime" in found else None,
            failure_message=explain_failure(message, self._files(row)) if message else None,
            model_arn=found.get("outputModelArn"),
            model_details=_model_details(found, training, validation),
            progress=progress,
        )

    def _losses(self, row: Resource, found: Mapping[str, Any]) -> tuple[list[Loss], list[Loss]]:
        with suppress(FinalError):  # not being allowed to read them must not hide the job
            return read_losses(self.storage.read, found["outputDataConfig"]["s3Uri"], row.arn or "")
        return [], []

    def _files(self, row: Resource) -> dict[str, Any]:
        folder = self.project.paths.dataset(row.details["dataset_id"])
        return {uri: folder / f"{split}.jsonl" for split, uri in row.details.get("data", {}).items()}


def hyperparameters(recipe: Recipe) -> dict[str, str]:
    """What the service is told of a recipe. Its fourth key, batchSize, takes 1 only, and is left to it."""
    return {
        HYPERPARAMETERS["epochs"]: f"{recipe.epochs:g}",
        HYPERPARAMETERS["learning_rate"]: f"{recipe.learning_rate:.10f}".rstrip("0"),
        HYPERPARAMETERS["warmup_steps"]: str(recipe.warmup_steps),
    }


def check_recipe(recipe: Recipe) -> None:
    """ConfigError for what a recipe asks for and the service has no way to be told: nothing is left out silently.

    All keys but the three are the service's own affair; one that differs from the recipe ``nova`` was set by somebody.
    """
    nova = BUILT_IN["nova"]
    problems = [
        f"{key} = {getattr(recipe, key)}: Bedrock has no such setting"
        for key in Recipe.model_fields
        if key not in ("name", *HYPERPARAMETERS) and getattr(recipe, key) != getattr(nova, key)
    ]
    if recipe.epochs != int(recipe.epochs):
        problems.append(f"epochs = {recipe.epochs}: Bedrock trains whole epochs")
    if problems:
        raise ConfigError(
            "\n".join(
                [f"the bedrock backend cannot follow recipe {recipe.name!r}:", *(f"  {each}" for each in problems)]
            ),
            'recipe = "nova" in [train] of sqlora.toml, with epochs, learning_rate and warmup_steps as you like',
        )


def _phase(found: Mapping[str, Any]) -> tuple[str, str]:
    """The sub-state that is going on, and a line that says so; nothing known yet is the first."""
    details = found.get("statusDetails") or {}
    begun = [name for name in PHASES if details.get(name, {}).get("status", "NotStarted") != "NotStarted"]
    name = begun[-1] if begun else "validationDetails"
    return PHASES[name], f"{PHASES[name]}: {details.get(name, {}).get('status', 'NotStarted')}"


def _progress(
    phase: str, message: str = "", training: list[Loss] | None = None, validation: list[Loss] | None = None
) -> dict[str, Any]:
    """The keys that are shown; the service does not say how many steps there will be."""
    return {
        "phase": phase,
        "message": message,
        "step": training[-1].step + 1 if training else None,
        "steps": None,
        "loss": training[-1].loss if training else None,
        "validation_loss": validation[-1].loss if validation else None,
        "seconds_left": None,
    }


def _model_details(found: Mapping[str, Any], training: list[Loss], validation: list[Loss]) -> dict[str, Any]:
    """The losses of the service's own answer, else of the last lines of its files."""
    said = found.get("trainingMetrics", {}).get("trainingLoss")
    validated = [each["validationLoss"] for each in found.get("validationMetrics", []) if "validationLoss" in each]
    return {
        "train_loss": said if said is not None else training[-1].loss if training else None,
        "validation_loss": validated[-1] if validated else validation[-1].loss if validation else None,
        "created_at": stamp(found["endTime"]) if "endTime" in found else None,
    }
