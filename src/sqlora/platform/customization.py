"""Customization jobs: records in a bucket → validated → trained → metrics in the bucket, one job after another.

    submit ──> row InProgress, phase validation            the table `customizations` is the queue
    thread:    validation   every record is fetched and checked           (customization_data.fetch)
               data         they become a dataset, spec.json is written   (customization_data.write)
               training     a detached worker trains                      (platform.worker)
               upload       the metrics go to the bucket                  (artifacts[kind])
               done         Completed, Failed or Stopped

Each phase can be done again, so whatever kills this process, `Customizations.start` goes on where the table stands:
it fetches anew, follows the worker (which has gone on meanwhile) or starts it from its checkpoint, uploads again.
When the server ends in an orderly way the worker is stopped with its checkpoint and the job noted as ``paused``: its
row is Stopped, its customer still sees InProgress, and the next start goes on.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlora.errors import ConflictError, NotFoundError, SqloraError
from sqlora.platform import customization_data
from sqlora.platform.customization_metrics import BedrockArtifacts
from sqlora.platform.customization_record import (
    Customization,
    CustomizationRecords,
    CustomizationRequest,
    Kind,
    Step,
)
from sqlora.platform.customization_training import Closing, Training, request_stop
from sqlora.platform.jobs import Job
from sqlora.platform.objects import Objects
from sqlora.platform.patience import RETRIES, patiently
from sqlora.platform.spec import JobSpec
from sqlora.platform.state import State
from sqlora.project import StateFolder

__all__ = ["Artifacts", "Customization", "CustomizationRequest", "Customizations", "Kind", "Step"]

Artifacts = Callable[[Job, Customization], None]
"""Puts a finished job's results under ``customization.output``; may be called again after a restart."""

LOOK_SECONDS = 0.5  # how often a fetch looks whether its job was stopped
IDLE_SECONDS = 2.0  # how often an idle thread looks at the table, for jobs that another process submitted

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class _Stopped(Exception):
    """Not an error: the job was stopped while it had no worker."""


class Customizations:
    """The customization jobs of a project, worked by one background thread.

    ``artifacts`` says how each kind of job uploads its results; "bedrock" is there, the adaptor of another API adds its
    own (``customizations.artifacts["sagemaker"] = upload``) before `start`. ``retries`` are the pauses, in seconds,
    after which a store that did not answer is asked again; ``worker_command`` is that of `worker.start_worker`.
    """

    def __init__(
        self,
        state: State,
        paths: StateFolder,
        objects: Objects,
        base_model: str,
        seed: int = 0,
        worker_command: Sequence[str] | None = None,
        retries: Sequence[float] = RETRIES,
    ) -> None:
        self._state, self._paths, self._objects = state, paths, objects
        self._base_model, self._seed = base_model, seed
        self._retries = retries
        self.records = CustomizationRecords(state)
        self.artifacts: dict[Kind, Artifacts] = {"bedrock": BedrockArtifacts(paths, objects)}
        self._wake, self._closing = threading.Event(), threading.Event()
        self._training = Training(state, paths, self.records, self._closing, worker_command)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Go on with what was under way when the process last ended, and begin to work."""
        self._closing.clear()
        self._thread = threading.Thread(target=self._work, daemon=True, name="customizations")
        self._thread.start()

    def close(self) -> None:
        """Stop working: the job under way writes its checkpoint, and the next `start` goes on from there."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, request: CustomizationRequest) -> Job:
        """Take a job on; returns at once, its row InProgress. ConflictError for a taken job or model name.

        Inside a transaction of the caller's, so that an idempotency token is remembered with it.
        """
        with self._state.transaction():
            job = self._state.jobs.create(
                request.job_name,
                model_name=request.model_name,
                base_model=self._base_model,
                dataset_id="",  # known when the data has been fetched
                recipe=request.recipe.name,
            )
            self.records.create(job.id, request)
            self._state.tags.put(f"job/{job.id}", request.tags)
        self._wake.set()
        return job

    def stop(self, id: str) -> Job:
        """Stop a job for good, by id or name; asking twice is the same. ConflictError when it has ended."""
        with self._state.transaction():
            found = self.records.get(id)
            if found.ended_at is not None:
                raise ConflictError(f"job {found.job.name!r} is {found.status}", f"sqlora jobs show {found.id}")
            if not found.stop_requested:
                request_stop(self._state, self.records, found)
        self._wake.set()
        return self._state.jobs.get(found.id)

    def get(self, id: str) -> Customization:
        """A job as its customer sees it, by id or name; NotFoundError."""
        return self.records.get(id)

    def list(self, kind: Kind | None = None) -> list[Customization]:
        """Newest first."""
        return self.records.list(kind)

    def details(self, id: str) -> dict[str, Step]:
        """How each phase stands (validation, data, training, upload) and since when."""
        return self.records.get(id).steps

    # the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                waiting = self.records.list(unfinished=True)
                if waiting:
                    self._run(waiting[-1].id)  # the oldest
                else:
                    self._wake.wait(IDLE_SECONDS)
            except Closing:
                return
            except Exception:  # the state itself failed: a full disk, a lock held for long
                _log.exception("customization jobs cannot go on; trying again")
                self._closing.wait(IDLE_SECONDS)

    def _run(self, id: str) -> None:
        """All phases of a job from where it stands; every end but `Closing` is settled."""
        try:
            if self.records.get(id).phase in ("validation", "data"):
                self._prepare(id)
            if self.records.get(id).phase == "training":
                self._train(id)
            if self.records.get(id).phase == "upload":
                self._upload(id)
        except Closing:
            raise
        except Exception as error:
            self._settle(id, error)

    def _settle(self, id: str, error: Exception) -> None:
        try:
            with self._state.transaction():
                found = self.records.get(id)
                if found.job.status == "Completed":
                    made = f"; the custom model {found.job.model_name} was made and is kept"
                    self.records.settle(id, "Failed", _message(error) + made)
                elif found.job.status == "Failed":
                    self.records.settle(id, "Failed", found.job.failure_message)
                elif found.job.status == "Stopped" and not found.paused:
                    self.records.settle(id, "Stopped")
                else:
                    if not found.job.ended:
                        self._state.jobs.fail(id, _message(error))
                    self.records.settle(id, "Failed", _message(error))
        except NotFoundError:  # an ended job was removed on the command line
            pass

    def _check(self) -> None:
        if self._closing.is_set():
            raise Closing

    # validation and data --------------------------------------------------------------------------------------

    def _prepare(self, id: str) -> None:
        found, folder = self.records.get(id), self._paths.job(id) / customization_data.FOLDER
        training, validation = found.details["training"], found.details["validation"]
        check = _Check(self, id)
        try:
            self.records.begin(id, "validation")
            fetched = self._patiently(
                id, lambda: customization_data.fetch(self._objects, training, validation, folder, check)
            )
            self.records.begin(id, "data")
            dataset = customization_data.write(folder, self._paths.dataset, fetched, " ".join(training))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._spec(found, dataset, fetched.system).save(self._paths.job(id))
        with self._state.transaction():
            check.now()
            self._state.jobs.set_dataset(id, dataset)
            self.records.begin(id, "training")

    def _spec(self, found: Customization, dataset_id: str, system: str | None) -> JobSpec:
        job = found.job
        manifest = {
            "model_id": job.reserved_model_id,
            "model_name": job.model_name,
            "job_id": job.id,
            "dataset_id": dataset_id,
            "system": system,
        }
        return JobSpec(job.base_model, dataset_id, found.details["recipe"], self._seed, manifest)

    def _patiently(self, id: str, work: Callable[[], _Result]) -> _Result:
        def pause(seconds: float) -> None:
            if self._closing.wait(seconds):
                raise Closing
            if self.records.get(id).stop_requested:
                raise _Stopped

        return patiently(work, self._retries, pause)

    # training and upload ---------------------------------------------------------------------------------------

    def _train(self, id: str) -> None:
        job = self._training.run(id)
        if job.status == "Completed":
            self.records.begin(id, "upload")
        else:
            self.records.settle(id, "Stopped" if job.status == "Stopped" else "Failed", job.failure_message)

    def _upload(self, id: str) -> None:
        self.records.begin(id, "upload")
        found = self.records.get(id)
        try:
            if not found.stop_requested:
                self._patiently(id, lambda: self.artifacts[found.kind](found.job, found))
        except _Stopped:
            pass
        self._finish(id)

    def _finish(self, id: str) -> None:
        """Completed with the model's tags; or, stopped in the last moment, without the model."""
        discarded: Path | None = None
        with self._state.transaction():
            found = self.records.get(id)
            model_id = found.job.model_id or ""
            if found.stop_requested:
                try:
                    discarded = self._paths.path / self._state.models.delete(model_id).folder
                except (NotFoundError, ConflictError):  # removed, or deployed, on the command line meanwhile
                    pass
                self.records.settle(id, "Stopped")
            else:
                if any(model.id == model_id for model in self._state.models.list()):  # else removed meanwhile
                    self._state.tags.put(f"model/{model_id}", found.details["model_tags"])
                self.records.settle(id, "Completed")
        if discarded is not None:
            shutil.rmtree(discarded, ignore_errors=True)


class _Check:
    """Asked at every record; looks into the state now and then."""

    def __init__(self, customizations: Customizations, id: str) -> None:
        self._customizations, self._id, self._looked = customizations, id, time.monotonic()

    def __call__(self) -> None:
        self._customizations._check()
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self.now()

    def now(self) -> None:
        """Raise `_Stopped` if the job has been stopped, by its customer or on the command line."""
        found = self._customizations.records.get(self._id)
        if found.job.ended or found.stop_requested:
            raise _Stopped


def _message(error: Exception) -> str:
    if isinstance(error, SqloraError):
        return error.message
    _log.error("a customization job failed", exc_info=error)
    return f"internal error: {type(error).__name__}"
