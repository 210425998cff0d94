"""Training jobs in SageMaker: submitted once, found again by their names, followed by status and log.

    plan      names taken, rows in the ledger            before anything is spent
    submit    CreateTrainingJob                          its name holds the row's id: it cannot be made twice
    wait      DescribeTrainingJob, CloudWatch's logs     by whichever process asks
    finish    a model in Bedrock, or an adapter here     `nova`, `open_model`

A process may die between any two of them; `wait` goes on from where the ledger stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.answers import Asked
from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.aws.data import explain_failure
from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.polling import Polling
from sqlora.backends.base import Capabilities, TrainingRequest
from sqlora.backends.sagemaker.follow import Follower, tail
from sqlora.backends.sagemaker.logs import Seen, TrainingLog
from sqlora.backends.sagemaker.nova import NovaTraining
from sqlora.backends.sagemaker.open_model import OpenTraining
from sqlora.backends.sagemaker.recipe import nova_model
from sqlora.backends.sagemaker.way import Way, output_of, training_name
from sqlora.backends.systems import dataset_system
from sqlora.cost.model import Option
from sqlora.errors import BusyError, ConfigError, ConflictError, FinalError
from sqlora.platform.jobs import Job
from sqlora.platform.ledger import Resource
from sqlora.platform.names import stamp
from sqlora.platform.state import State
from sqlora.prepare.dataset import Dataset, load_dataset
from sqlora.project import Project

PHASES = {
    "Starting": "start",
    "Pending": "start",
    "Downloading": "download of the data",
    "DownloadingTrainingImage": "download of the image",
    "Uploading": "upload",
}


class SageMakerBackend(AwsBackend):
    """`Backend` that trains by SageMaker's training jobs: ``[aws] model`` says whether a Nova model or an open one."""

    name: ClassVar[str] = "sagemaker"

    def __init__(
        self, project: Project, state: State, account: Account | None = None, *, polling: Polling | None = None
    ) -> None:
        super().__init__(project, state, account, polling=polling)
        self._nova = NovaTraining(self.site, self.storage, self._jobs, self._models)
        self._open = OpenTraining(self.site, self.storage, self._jobs)

    def _way(self, base_model: str) -> Way:
        return self._open if nova_model(base_model) is None else self._nova

    @property
    def capabilities(self) -> Capabilities:
        """See `Capabilities`: those of ``[aws] model``."""
        return self._way(self.project.aws.model).capabilities()

    def estimate(self, request: TrainingRequest) -> Option:
        """See `Backend`."""
        base_model = self.base_model(request)
        return self._way(base_model).estimate(request, base_model, self._dataset(request))

    def fingerprint(self, request: TrainingRequest) -> str:
        """See `AwsBackend`."""
        base_model = self.base_model(request)
        return self._way(base_model).fingerprint(request, base_model)

    def _dataset(self, request: TrainingRequest) -> Dataset:
        return load_dataset(self.project.paths.dataset(request.dataset_id))

    # submitting -----------------------------------------------------------------------------------------------

    def submit_training(self, request: TrainingRequest) -> Job:
        """See `Backend`; returns when SageMaker has the job. ServiceError leaves it planned: `wait` submits it then."""
        base_model, dataset = self.base_model(request), self._dataset(request)
        details = self._way(base_model).details(request, base_model, dataset)
        bucket = self.storage.bucket()
        planned = self._jobs.plan(
            request,
            base_model=base_model,
            fingerprint=self.fingerprint(request),
            system=dataset_system(dataset),
            details={**details, "bucket": bucket, "attempt": 1, "submitted": 0, "progress": {"phase": "submission"}},
        )
        return self._jobs.of(self._submit(planned.job))

    def _submit(self, row: Resource) -> Resource:
        """The attempt is made, not twice: what an earlier try has made is found by its name.

        What SageMaker refuses for good is dropped, and its names are free. BusyError while another process is at it.
        """
        with self.site.alone(row) as row:
            if _submitted(row) or self._jobs.of(row).ended:
                return row
            self.site.require_here(row)
            arn = self._find_arn(row)
            if arn is None:
                try:
                    arn = self._create(row)
                except FinalError as error:
                    arn = self._find_arn(row)  # one of boto3's own tries may have come through after all
                    if arn is None:
                        self._give_up(row, error)
                        raise
            return self._created(row, arn)

    def _create(self, row: Resource) -> str:
        parameters = self._way(row.details["base_model"]).parameters(row)
        output = output_of(self.storage, row)
        key = self.project.aws.kms_key
        parameters["OutputDataConfig"] = {
            "S3OutputPath": output,
            **parameters["OutputDataConfig"],
            **({"KmsKeyId": key} if key else {}),
        }
        with aws_errors(f"submit the job {row.name!r}", "sqlora doctor --backend sagemaker checks what it needs"):
            made = self._sagemaker.create_training_job(
                TrainingJobName=training_name(row),
                RoleArn=row.details["role"],
                Tags=[{"Key": key, "Value": value} for key, value in self.site.tags(row).items()],
                **parameters,
            )
        arn: str = made["TrainingJobArn"]
        return arn

    def _created(self, row: Resource, arn: str) -> Resource:
        return self.state.ledger.created(row.id, arn, {"submitted": row.details["attempt"]})

    def _give_up(self, row: Resource, error: FinalError) -> None:
        if row.details["attempt"] == 1:
            self._jobs.drop(row)
        else:
            self._jobs.end(row, "Failed", failure_message=error.message)

    def _find_arn(self, row: Resource) -> str | None:
        """The ARN of the row's job in the account; None when it was never made."""
        found = self._describe(row)
        return found["TrainingJobArn"] if found else None

    def _describe(self, row: Resource) -> dict[str, Any] | None:
        with aws_errors(f"look at the job {row.name!r}"):
            try:
                found: dict[str, Any] = self._sagemaker.describe_training_job(TrainingJobName=training_name(row))
            except Exception as error:
                if is_missing(error):
                    return None
                raise
        return found

    @property
    def _sagemaker(self) -> Any:
        return self.account.client("sagemaker")

    # following ------------------------------------------------------------------------------------------------

    def job(self, id: str) -> Job:
        """See `Backend`; what is trained is imported, too. AccountError when that is not allowed."""
        row = self._jobs.row(id)
        return self._jobs.of(self._refresh(row, lambda: tail(self._log(row))))

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """See `Backend`: throttling, a closed laptop and the like are waited out; expired credentials are not.

        The lines of the job's log come as messages of its progress.
        """
        row, shown = self._jobs.row(id), None
        follower = Follower(self._log(row), self.project.paths.job(row.id))

        def look() -> Job | None:
            nonlocal shown
            with suppress(BusyError):  # another process submits it
                if not _submitted(self._jobs.row(row.id)):
                    self._submit(row)
            job = self._jobs.of(self._refresh(self._jobs.row(row.id), follower.read))
            for message in follower.messages():
                on_progress(replace(job, progress={**job.progress, "message": message}))
            if job != shown:
                shown = job
                on_progress(job)
            return job if job.ended else None

        return self.site.polling.until(look, f"job {row.name!r}")

    def _log(self, row: Resource) -> TrainingLog:
        return TrainingLog(self.account, training_name(row))

    def _refresh(self, row: Resource, read_log: Callable[[], Seen] = Seen) -> Resource:
        """The row as AWS says now; what has ended stays as it was."""
        if self._jobs.of(row).ended:
            return row
        self.site.require_here(row)
        found = self._describe(row)
        if found is None:
            return row  # planned only; SageMaker keeps what it ever had
        if not _submitted(row):
            row = self._created(row, found["TrainingJobArn"])
        return self._see(row, found, read_log())

    def _see(self, row: Resource, found: Mapping[str, Any], seen: Seen) -> Resource:
        status, details = found["TrainingJobStatus"], row.details
        progress = _progress(found, seen, details)
        if status in ("InProgress", "Stopping"):
            return self._jobs.note(row, status=status, progress=progress)
        if "BillableTimeInSeconds" in found:  # for `sqlora.cost.spend`, whatever became of the job
            billable = {**details.get("billable", {}), str(details["attempt"]): found["BillableTimeInSeconds"]}
            row = self._jobs.note(row, billable=billable)
        if status == "Completed" and not details.get("stop_requested"):
            if not details.get("trained"):
                row = self._jobs.note(row, trained=True, progress=progress)
            return self._way(details["base_model"]).finish(row, found)
        if status == "Completed":
            self._way(details["base_model"]).discard(row)
            return self._jobs.end(row, "Stopped", progress=progress)
        late = found.get("SecondaryStatus") == "MaxRuntimeExceeded"
        if late and not details.get("stop_requested"):
            hours = details["seconds"] / 3600
            message: str | None = f"it was stopped after {hours:g} hours, the limit: max_hours in [aws] of sqlora.toml"
            status = "Failed"
        else:
            message = explain_failure(found["FailureReason"], self._files(row)) if "FailureReason" in found else None
        return self._jobs.end(
            row,
            status,
            ended_at=stamp(found["TrainingEndTime"]) if "TrainingEndTime" in found else None,
            failure_message=message,
            progress=progress,
        )

    def _files(self, row: Resource) -> dict[str, Any]:
        folder = self.project.paths.dataset(row.details["dataset_id"])
        return {uri: folder / f"{split}.jsonl" for split, uri in row.details.get("data", {}).items()}

    # stopping and going on ------------------------------------------------------------------------------------

    def stop(self, id: str) -> Job:
        """See `Backend`. SageMaker bills the time until then."""
        row = self._jobs.row(id)
        with self.site.alone(row) as row:
            row = self._refresh(row)
            if self._jobs.of(row).ended:
                raise ConflictError(f"job {row.name!r} is {row.details['status']}", f"sqlora jobs show {row.id}")
            if not _submitted(row):
                return self._jobs.of(self._jobs.end(row, "Stopped"))
            row = self._jobs.note(row, stop_requested=True)
            if not row.details.get("trained"):
                with aws_errors(f"stop the job {row.name!r}"):
                    self._stop(row)
        return self.job(row.id)

    def _stop(self, row: Resource) -> None:
        try:
            self._sagemaker.stop_training_job(TrainingJobName=training_name(row))
        except Exception:
            found = self._describe(row)
            if found is None or found["TrainingJobStatus"] in ("InProgress", "Stopping"):
                raise  # else it has ended in this moment

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """See `Backend`; one that failed after it was trained, or has a checkpoint, is gone on with."""
        fingerprint, there = self.fingerprint(request), {model.id for model in self.state.models.list()}
        rows = [row for row in self.site.rows("job") if row.details.get("fingerprint") == fingerprint]
        done = [job for row in rows if (job := self._jobs.of(row)).model_id in there]
        if done or (found := self._jobs.matching(fingerprint)) is None:
            resumable = [self._jobs.of(row) for row in rows if self._resumable(row)]
            return next(iter([*done, *resumable]), None)
        return found

    def _resumable(self, row: Resource) -> bool:
        return self._jobs.of(row).ended and self._way(row.details["base_model"]).resumable(row)

    def resume(self, id: str, detach: bool = False) -> Job:
        """See `Backend`. A Nova job goes on only from the end of its training, an open one from its checkpoint."""
        row = self._jobs.row(id)
        if not self._jobs.of(row).ended:
            return self.job(row.id)
        if not self._resumable(row):
            return super().resume(id, detach)
        self.site.require_here(row)
        changes = self._way(row.details["base_model"]).again(row)
        with self.site.alone(row) as row:
            if self._jobs.of(row).ended:
                row = self._jobs.again(row, stop_requested=None, **changes)
        if not _submitted(row):
            self._submit(row)
        return self.job(row.id)

    # answers --------------------------------------------------------------------------------------------------

    def _asked(self, deployment: str) -> Asked:
        if self._is_base(deployment) and nova_model(self.project.aws.model) is None:
            raise ConfigError(
                f"{self.project.aws.model} is an open model, which Bedrock does not serve",
                f'sqlora ask --backend local, with base_model = "{self.project.aws.model}" in [train]',
            )
        return super()._asked(deployment)


def _submitted(row: Resource) -> bool:
    return bool(row.details["submitted"] == row.details["attempt"])


def _progress(found: Mapping[str, Any], seen: Seen, details: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that are shown: the service's own status, the log's steps and losses, else the final metrics."""
    secondary = found.get("SecondaryStatus", "")
    transitions = found.get("SecondaryStatusTransitions") or [{}]
    told = {each["MetricName"]: each["Value"] for each in found.get("FinalMetricDataList", [])}
    before = details.get("progress", {})
    progress = {key: before.get(key) if value is None else value for key, value in seen.as_dict().items()}
    phase = seen.phase if secondary == "Training" and seen.phase else PHASES.get(secondary, secondary.lower())
    return {
        **progress,
        "phase": phase,
        "message": transitions[-1].get("StatusMessage", ""),
        "steps": progress["steps"] or details.get("steps"),
        "loss": told.get("training_loss", progress["loss"]),
        "validation_loss": told.get("validation_loss", progress["validation_loss"]),
    }
