"""Training in a worker process, serving in this one: the default backend, which needs no account."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from sqlora.backends.adopt import CheckAdapter, adopt, check_folder
from sqlora.backends.answer import Answer, later, row_of
from sqlora.backends.base import BASE, Capabilities, Closing, TrainingRequest
from sqlora.backends.serving import Served, Serving, open_base
from sqlora.backends.systems import dataset_system
from sqlora.backends.target import Target, target_of_base
from sqlora.cost.model import Option
from sqlora.engines.base import Completion, Delta, Engine, Request, Sampling
from sqlora.engines.residency import Residency
from sqlora.errors import ConflictError, ModelError, NotFoundError, SqloraError
from sqlora.platform import worker
from sqlora.platform.deployments import Deployment
from sqlora.platform.jobs import Job
from sqlora.platform.models import CustomModel
from sqlora.platform.names import Kind, check_name, new_id, slug
from sqlora.platform.spec import JobSpec
from sqlora.platform.state import State
from sqlora.prepare.dataset import load_dataset
from sqlora.project import Project

ADAPTER_FILES = ("adapter_model.safetensors", "adapter_config.json")


class LocalBackend(Closing):
    """`Backend` on this machine, over the state folder of ``project``.

    ``open_base`` loads a base model the first time it is asked; ``worker_command`` replaces the worker's command
    line (`sqlora.platform.worker.start_worker`); ``residency`` says how long adapters stay in memory;
    ``check_adapter`` tells whether a folder's adapter fits a base model. Close it, or use it in a ``with``: attached
    workers stop then. Answers, models and deployments may be asked for from several threads.
    """

    def __init__(
        self,
        project: Project,
        open_base: Callable[[str], Served] = open_base,
        worker_command: Sequence[str] | None = None,
        *,
        residency: Residency | None = None,
        check_adapter: CheckAdapter = check_folder,
    ) -> None:
        self.project = project
        self.paths = project.paths
        self.state = State(self.paths.database)
        self._serving = Serving(project, open_base, residency)
        self._check_adapter = check_adapter
        self._worker_command = worker_command or worker.worker_command(project.train.processes)
        self._workers: dict[str, worker.Worker] = {}

    @property
    def capabilities(self) -> Capabilities:
        """See `Capabilities`. Fewer than 8 records teach nothing, and Bedrock refuses them too."""
        return Capabilities("local", records=(8, None), resumable=True, detached=True, weights=True, beams=True)

    def close(self) -> None:
        """Let go of the state and of attached workers, which stop at their next step."""
        for id in list(self._workers):
            self._let_go(id)
        self.state.close()

    # training -------------------------------------------------------------------------------------------------

    def estimate(self, request: TrainingRequest) -> Option | None:
        """None: nobody sends a bill for this machine."""
        return None

    def submit_training(self, request: TrainingRequest) -> Job:
        """See `Backend`; returns when the worker has begun."""
        dataset = load_dataset(self.paths.dataset(request.dataset_id))
        spec = self._spec(request)
        self.capabilities.check(request, sum(1 for _ in dataset.records("train")), spec.base_model)
        with self.state.transaction():
            model_name = request.model_name or self._free_model_name()
            job_name = request.job_name or f"{slug(model_name)[:56]}-{new_id()[:6]}"
            self._require_free_elsewhere("model", model_name)
            self._require_free_elsewhere("job", job_name)
            job = self.state.jobs.create(
                job_name,
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
        taken |= {resource.name for resource in self.state.ledger.list(kind="model")}
        name = slug(self.project.name)[:58]
        names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    def _require_free_elsewhere(self, kind: Kind, name: str) -> None:
        """ConflictError when another backend of the project has something of that name: commands find it by name."""
        if taken := self.state.ledger.find(kind, name):
            raise ConflictError(
                f"a {kind} named {name!r} exists already, on {taken.backend}", f"another name for the {kind}"
            )

    def matching_job(self, request: TrainingRequest) -> Job | None:
        """The job that has trained, or may go on to train, exactly what is requested: nothing need be done twice.

        A completed one whose model still exists before any other; among those, the newest.
        """
        jobs = self.state.jobs.list(fingerprint=self._spec(request).fingerprint())
        models = {model.id for model in self.state.models.list()}
        completed = [job for job in jobs if job.model_id in models]
        return next(iter([*completed, *(job for job in jobs if job.status != "Completed")]), None)

    def jobs(self) -> list[Job]:
        """See `Backend`."""
        return self.state.jobs.list()

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

    def delete_job(self, id: str) -> Job:
        """See `Backend`; its checkpoint and its log go with it."""
        job = self.job(id)
        self.state.jobs.delete(job.id)
        shutil.rmtree(self.paths.job(job.id), ignore_errors=True)
        return job

    # models and deployments -----------------------------------------------------------------------------------

    def models(self) -> list[CustomModel]:
        """See `Backend`."""
        return self.state.models.list()

    def model(self, id: str) -> CustomModel:
        """See `Backend`."""
        return self.state.models.get(id)

    def create_deployment(self, model: str, name: str | None = None) -> Deployment:
        """See `Backend`. Nothing is loaded: the first question does that."""
        custom = self.state.models.require_active(model)
        chosen = check_name("deployment", name or self.project.deploy.name or custom.name)
        if chosen == self.project.train.base_model:
            raise ConflictError(f"the name {chosen!r} means the untuned base model", "another --name")
        folder = self.paths.path / custom.folder
        if missing := [file for file in ADAPTER_FILES if not (folder / file).is_file()]:
            raise ModelError(f"custom model {custom.name!r} has lost {missing[0]} from {folder}", "sqlora train")
        with self.state.transaction():
            self._require_free_elsewhere("deployment", chosen)
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

    def update_deployment(self, id: str, model: str) -> Deployment:
        """Another custom model behind the same name, once its adapter was checked; the old one answers until then.

        Answers that have begun end with the model they began with. NotFoundError; ConflictError for a deployment or a
        model that is not Active; ModelError, and the old model stays, for an adapter that does not fit.
        """
        return self.finish_update(self.state.deployments.begin_update(id, model).id)

    def finish_update(self, id: str) -> Deployment:
        """The rest of an update that `Deployments.begin_update` began, in this process or in one that was killed."""
        deployment = self.state.deployments.get(id)
        try:
            if deployment.update_model_id is not None:
                self.check_model(deployment.update_model_id)
        except BaseException:
            self.state.deployments.fail_update(deployment.id)
            raise
        updated = self.state.deployments.complete_update(deployment.id)
        if updated.model_id != deployment.model_id:
            self._let_sleep(deployment.model_id)
        return updated

    def deployments(self) -> list[Deployment]:
        """See `Backend`."""
        return self.state.deployments.list()

    def deployment(self, id: str) -> Deployment:
        """See `Backend`."""
        return self.state.deployments.get(id)

    def delete_deployment(self, id: str) -> None:
        """See `Backend`. Answers that have begun end well."""
        deployment = self.state.deployments.delete(id)
        self._let_sleep(deployment.model_id)
        shutil.rmtree(self.paths.deployment(deployment.id), ignore_errors=True)

    def _let_sleep(self, model_id: str) -> None:
        """Out of memory with an adapter that no deployment has any more."""
        if not self.state.deployments.list(model_id=model_id):
            self.residency.evict(model_id)

    def delete_model(self, id: str) -> None:
        """See `Backend`."""
        model = self.state.models.delete(id)
        self.residency.evict(model.id)
        shutil.rmtree(self.paths.path / model.folder, ignore_errors=True)

    def check_model(self, id: str) -> None:
        """ModelError unless the custom model's adapter is whole and fits its base model; nothing is loaded."""
        model = self.state.models.get(id)
        self._check_adapter(self.paths.path / model.folder, model.base_model)

    def import_model(self, name: str, source: Path, *, base_model: str | None = None) -> CustomModel:
        """A custom model from an adapter folder in PEFT's format, for the project's base model or another.

        The files are copied (linked, if they are this project's own). ConflictError for a taken name, ModelError,
        and no model, for an adapter that is not whole or does not fit.
        """
        base = base_model or self.project.train.base_model
        self._require_free_elsewhere("model", name)
        model = self.state.models.create(name, base_model=base, origin="imported", status="Creating")
        try:
            return self.fill_model(model.id, source)
        except BaseException:
            self.delete_model(model.id)
            raise

    def fill_model(self, id: str, source: Path) -> CustomModel:
        """Creating → Active: the adapter in ``source``, checked, becomes the custom model's own.

        An adapter that is not whole or does not fit: Creating → Failed, and the error is raised.
        """
        model = self.state.models.get(id)
        if model.status != "Creating":
            raise ConflictError(f"custom model {model.name!r} is {model.status}", f"sqlora models show {model.id}")
        try:
            manifest = {**self._check_adapter(source, model.base_model), "model_id": model.id, "model_name": model.name}
            adopt(source, self.paths.path / model.folder, manifest, self.paths.path)
        except SqloraError as error:
            self.state.models.fail(model.id, error.message)
            raise
        try:
            return self.state.models.activate(model.id)
        except NotFoundError:  # deleted meanwhile
            shutil.rmtree(self.paths.path / model.folder, ignore_errors=True)
            raise

    # memory ---------------------------------------------------------------------------------------------------

    @property
    def residency(self) -> Residency:
        """Which adapters are in memory, by the ids of their custom models."""
        return self._serving.residency

    def unload(self, deployment: str) -> None:
        """Take its adapter and prefix cache out of memory, as an idle time does; the next question loads them."""
        self._serving.forget(self._target(deployment))

    def sweep(self) -> list[str]:
        """Evict the adapters that have been idle for too long, and remove the files of deployments that are gone.

        Returns the ids of the custom models evicted. An answer that began while its deployment was being deleted may
        have written its prefix cache after the deletion.
        """
        folders = [path for path in self.paths.deployment(BASE).parent.glob("*") if path.name != BASE]
        there = {deployment.id for deployment in self.state.deployments.list()}  # after the folders: rows come first
        for folder in folders:
            if folder.name not in there:
                shutil.rmtree(folder, ignore_errors=True)
        return self.residency.sweep()

    # answers --------------------------------------------------------------------------------------------------

    def system(self, deployment: str = BASE, question: str = "") -> str:
        """The system text to ask ``question`` with: that of the data the deployment's model was trained on.

        For the base model, that of the newest dataset. Without a dataset, or where its questions have texts of their
        own, the project's own dialect and schema (of a wide one, what the question needs).
        """
        return self._serving.systems.of(self._target(deployment), question)

    def count_tokens(self, deployment: str, record: Mapping[str, Any]) -> int:
        """The tokens of the prompt that `converse` would give the model; nothing is answered, and no adapter loaded.

        ContextError for a text so long that counting it would be work.
        """
        return self._serving.count(self._target(deployment), record)

    def converse(
        self,
        deployment: str,
        record: Mapping[str, Any],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
        request_id: str | None = None,
    ) -> Answer:
        """See `Backend`. A record without a system text gets the deployment's own (see `system`).

        Times count from this call, so a cold start (base model, adapter, prefix) is in the first token's. ContextError
        for a conversation that leaves no room for an answer; otherwise ``max_tokens`` is cut to what there is. The
        adapter stays in memory until the answer ends, in whatever way (`Answer`): one that is abandoned half-way is
        on the books with the tokens it took, under ``request_id`` if it has one.
        """
        started = time.perf_counter()
        lease = ExitStack()
        target, engine, [request] = self._prepare(lease, deployment, [record], sampling)
        pieces = cast(Generator[Delta | Completion], engine.stream(request))
        count = len(request.prompt)
        book = self.state.usage.record
        return Answer(pieces, target.name, caller, count, started, lambda row: book([row]), lease.close, request_id)

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
        if not records:
            self._target(deployment)
            return []
        with ExitStack() as lease:
            target, engine, requests = self._prepare(lease, deployment, records, sampling)
            waited = time.perf_counter() - started
            completions = [later(completion, waited) for completion in engine.generate(requests)]
        self.state.usage.record(row_of(target.name, caller, completion) for completion in completions)
        return completions

    def _prepare(
        self, lease: ExitStack, deployment: str, records: Sequence[Mapping[str, Any]], sampling: Sampling | None
    ) -> tuple[Target, Engine, list[Request]]:
        """What to ask of which engine; ``lease`` keeps the adapter there until it is closed."""
        target = self._target(deployment)
        while True:
            try:
                return target, *lease.enter_context(self._serving.prepared(target, records, sampling))
            except ModelError:
                # The deployment may have been updated, and its old model deleted, since it was looked up.
                before, target = target, self._target(deployment)
                if target == before:
                    raise

    def _target(self, deployment: str) -> Target:
        if deployment in (BASE, self.project.train.base_model):
            return target_of_base(self.project)
        found = self.state.deployments.get(deployment)
        if found.status != "Active":
            why = f": {found.failure_message}" if found.failure_message else ""
            raise ConflictError(f"deployment {found.name!r} is {found.status}{why}", f"sqlora deploy {found.model_id}")
        try:
            model = self.state.models.get(found.model_id)
        except NotFoundError:
            if self.state.deployments.get(found.id).model_id == found.model_id:
                raise
            return self._target(found.id)  # as above
        return Target(found.name, model.base_model, model, self.paths.deployment(found.id))
