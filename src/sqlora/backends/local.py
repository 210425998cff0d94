"""Training in a worker process, serving in this one: the default backend, which needs no account."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from sqlora.backends.base import BASE, Capabilities, TrainingRequest
from sqlora.backends.serving import Served, Serving, Target, dataset_system, open_base, target_of_base
from sqlora.engines.base import Completion, Delta, Engine, Request, Sampling
from sqlora.errors import ConflictError, ModelError, NotFoundError, SqloraError
from sqlora.platform import worker
from sqlora.platform.deployments import Deployment
from sqlora.platform.jobs import Job
from sqlora.platform.names import check_name, new_id, slug
from sqlora.platform.spec import JobSpec
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.prepare.dataset import load_dataset
from sqlora.project import Project

ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")


class LocalBackend:
    """`Backend` on this machine, over the state folder of ``project``.

    ``open_base`` loads a base model the first time it is asked; ``worker_command`` replaces the worker's command
    line (`sqlora.platform.worker.start_worker`). Close it, or use it in a ``with``: attached workers stop then.
    """

    def __init__(
        self,
        project: Project,
        open_base: Callable[[str], Served] = open_base,
        worker_command: Sequence[str] | None = None,
    ) -> None:
        self.project = project
        self.paths = project.paths
        self.state = State(self.paths.database)
        self._serving = Serving(project, open_base)
        self._worker_command = worker_command
        self._workers: dict[str, worker.Worker] = {}

    @property
    def capabilities(self) -> Capabilities:
        """See `Capabilities`. Fewer than 8 records teach nothing, and Bedrock refuses them too."""
        return Capabilities("local", records=(8, None), resumable=True, detached=True, weights=True)

    def close(self) -> None:
        """Let go of the state and of attached workers, which stop at their next step."""
        for id in list(self._workers):
            self._let_go(id)
        self.state.close()

    def __enter__(self) -> LocalBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # training -------------------------------------------------------------------------------------------------

    def submit_training(self, request: TrainingRequest) -> Job:
        """See `Backend`; returns when the worker has begun."""
        dataset = load_dataset(self.paths.dataset(request.dataset_id))
        spec = self._spec(request)
        self.capabilities.check(request, sum(1 for _ in dataset.records("train")), spec.base_model)
        with self.state.transaction():
            model_name = request.model_name or self._free_model_name()
            job = self.state.jobs.create(
                request.job_name or f"{slug(model_name)[:56]}-{new_id()[:6]}",
                model_name=model_name,
                base_model=spec.base_model,
                dataset_id=spec.dataset_id,
                recipe=request.recipe.name,
                fingerprint=spec.fingerprint(),
            )
            manifest = {
                "model_id": job.reserved_model_id,
                "model_name": model_name,
                "job_id": job.id,
                "dataset_id": dataset.id,
                "system": dataset_system(dataset),
            }
            replace(spec, manifest=manifest).save(self.paths.job(job.id))
        try:
            self._start(job.id, worker.start_worker(self.paths.path, job.id, request.detach, self._worker_command))
        except SqloraError as error:
            self.state.jobs.fail(job.id, error.message)
            raise
        return self.state.jobs.get(job.id)

    def _start(self, id: str, started: worker.Worker) -> None:
        self._let_go(id)
        if not started.detached:
            self._workers[id] = started

    def _let_go(self, id: str) -> None:
        if previous := self._workers.pop(id, None):
            previous.close()

    def _spec(self, request: TrainingRequest) -> JobSpec:
        train = self.project.train
        return JobSpec(
            request.base_model or train.base_model,
            request.dataset_id,
            request.recipe.model_dump(mode="json"),
            train.seed if request.seed is None else request.seed,
        )

    def _free_model_name(self) -> str:
        """The project's name, or with -2, -3 … when models have it or are to have it."""
        taken = {BASE, *(model.name for model in self.state.models.list())}
        taken |= {job.model_name for job in self.state.jobs.list() if job.status != "Completed"}
        name = slug(self.project.name)[:58]
        names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """The job that has trained, or may go on to train, exactly what is requested: nothing need be done twice.

        A completed one whose model still exists before any other; among those, the newest.
        """
        jobs = self.state.jobs.list(fingerprint=self._spec(request).fingerprint())
        models = {model.id for model in self.state.models.list()}
        completed = [job for job in jobs if job.model_id in models]
        return next(iter([*completed, *(job for job in jobs if job.status != "Completed")]), None)

    def job(self, id: str) -> Job:
        """See `Backend`. One told to stop whose worker has gone is Stopped."""
        job = self.state.jobs.get(id)
        return worker.stop(self.state, job.id) if job.status == "Stopping" and worker.interrupted(job) else job

    def stop(self, id: str) -> Job:
        """See `Backend`; the checkpoint is kept, and `resume` goes on from it."""
        return worker.stop(self.state, id)

    def resume(self, id: str, detach: bool = False) -> Job:
        """Go on with a job that was stopped, has failed or was killed. ConflictError for a completed one."""
        job = self.state.jobs.get(id)
        self._start(job.id, worker.resume(self.state, job.id, detach, self._worker_command))
        return self.state.jobs.get(job.id)

    def wait(self, id: str, on_progress: Callable[[Job], None] = lambda job: None) -> Job:
        """Show each change of the job until it has ended. InterruptedRunError when its worker is killed."""
        job = worker.follow(self.state, self.state.jobs.get(id).id, on_progress)
        self._let_go(job.id)
        return job

    # models and deployments -----------------------------------------------------------------------------------

    def create_deployment(self, model: str, name: str | None = None) -> Deployment:
        """See `Backend`. Nothing is loaded: the first question does that."""
        custom = self.state.models.get(model)
        chosen = check_name("deployment", name or self.project.deploy.name or custom.name)
        if chosen == self.project.train.base_model:
            raise ConflictError(f"the name {chosen!r} means the untuned base model", "another --name")
        folder = self.paths.path / custom.folder
        if missing := [file for file in ADAPTER_FILES if not (folder / file).is_file()]:
            raise ModelError(f"custom model {custom.name!r} has lost {missing[0]} from {folder}", "sqlora train")
        with self.state.transaction():
            try:
                deployment = self.state.deployments.get(chosen)
            except NotFoundError:
                deployment = self.state.deployments.create(chosen, custom.id)
        if deployment.model_id != custom.id:
            other = self.state.models.get(deployment.model_id)
            raise ConflictError(
                f"deployment {chosen!r} serves the custom model {other.name!r}, not {custom.name!r}",
                f"sqlora deployments rm {chosen}, or --name",
            )
        if deployment.status == "Active":
            return deployment
        self.paths.deployment(deployment.id).mkdir(parents=True, exist_ok=True)
        return self.state.deployments.update(deployment.id, status="Active")

    def deployment(self, id: str) -> Deployment:
        """See `Backend`."""
        return self.state.deployments.get(id)

    def delete_deployment(self, id: str) -> None:
        """See `Backend`."""
        deployment = self.state.deployments.delete(id)
        if not self.state.deployments.list(model_id=deployment.model_id):
            self._serving.forget(self._target_of(deployment))
        shutil.rmtree(self.paths.deployment(deployment.id), ignore_errors=True)

    def delete_model(self, id: str) -> None:
        """See `Backend`."""
        model = self.state.models.delete(id)
        shutil.rmtree(self.paths.path / model.folder, ignore_errors=True)

    # answers --------------------------------------------------------------------------------------------------

    def system(self, deployment: str = BASE) -> str:
        """The system text to ask with: that of the data the deployment's model was trained on.

        For the base model, that of the newest dataset. Without a dataset, the project's own dialect and schema.
        """
        return self._serving.system(self._target(deployment))

    def converse(
        self,
        deployment: str,
        record: Mapping[str, Any],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> Iterator[Delta | Completion]:
        """See `Backend`. A record without a system text gets the deployment's own (see `system`).

        Times count from this call, so a cold start (base model, adapter, prefix) is in the first token's.
        An answer that is abandoned half-way is on the books with the tokens it took.
        """
        started = time.perf_counter()
        target = self._target(deployment)
        engine, requests = self._serving.prepare(target, [record], sampling)
        return self._stream(target.name, engine, requests[0], caller, started)

    def _stream(
        self, name: str, engine: Engine, request: Request, caller: str, started: float
    ) -> Iterator[Delta | Completion]:
        waited = time.perf_counter() - started
        produced, first = 0, None
        try:
            for piece in engine.stream(request):
                if isinstance(piece, Delta):
                    produced += piece.tokens
                    first = first or time.perf_counter() - started
                    yield piece
                else:
                    completion = _later(piece, waited)
                    self._record(name, caller, [completion])
                    produced = 0
                    yield completion
        finally:
            if produced:
                seconds = time.perf_counter() - started
                row = UsageRow(name, caller, len(request.prompt), produced, 0, seconds, first)
                self.state.usage.record([row])

    def converse_batch(
        self,
        deployment: str,
        records: Sequence[Mapping[str, Any]],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> list[Completion]:
        """See `Backend`."""
        started = time.perf_counter()
        target = self._target(deployment)
        if not records:
            return []
        engine, requests = self._serving.prepare(target, records, sampling)
        waited = time.perf_counter() - started
        completions = [_later(completion, waited) for completion in engine.generate(requests)]
        self._record(target.name, caller, completions)
        return completions

    def unload(self, deployment: str) -> None:
        """Take its adapter and prefix cache out of memory, as an idle time does; the next question loads them."""
        self._serving.forget(self._target(deployment))

    def _record(self, name: str, caller: str, completions: Sequence[Completion]) -> None:
        self.state.usage.record(
            UsageRow(name, caller, c.input_tokens, c.output_tokens, c.cached_tokens, c.seconds, c.first_token_seconds)
            for c in completions
        )

    def _target(self, deployment: str) -> Target:
        if deployment in (BASE, self.project.train.base_model):
            return target_of_base(self.project)
        found = self.state.deployments.get(deployment)
        if found.status != "Active":
            why = f": {found.failure_message}" if found.failure_message else ""
            raise ConflictError(f"deployment {found.name!r} is {found.status}{why}", f"sqlora deploy {found.model_id}")
        return self._target_of(found)

    def _target_of(self, deployment: Deployment) -> Target:
        model = self.state.models.get(deployment.model_id)
        return Target(deployment.name, model.base_model, model, self.paths.deployment(deployment.id))


def _later(completion: Completion, waited: float) -> Completion:
    """The same completion, asked for ``waited`` seconds before the engine heard of it."""
    return replace(
        completion,
        first_token_seconds=completion.first_token_seconds + waited,
        seconds=completion.seconds + waited,
    )
