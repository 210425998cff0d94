"""Local custom models answered by a vLLM server: adapters are loaded and unloaded while it runs.

A deployment is a row of the ledger. What the server was told is gone when it restarts, so a question that finds
nothing of its name has the adapter loaded again, as the local backend loads one that was idle.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlora.backends.answer import Answer, later, row_of
from sqlora.backends.base import BASE
from sqlora.backends.context import fit
from sqlora.backends.systems import Systems
from sqlora.backends.target import Target, target_of_base
from sqlora.backends.vllm import answers
from sqlora.backends.vllm.adapters import publish, whole, withdraw
from sqlora.backends.vllm.answers import Begun
from sqlora.backends.vllm.errors import GUIDE, NotServed, NotThere
from sqlora.backends.vllm.server import Server
from sqlora.backends.vllm.serves_only import NAME, ServesOnly
from sqlora.engines.base import Completion, Sampling
from sqlora.errors import ConflictError, ContextError, FinalError, ModelError, NotFoundError
from sqlora.platform.deployments import Deployment, DeploymentStatus
from sqlora.platform.ledger import Resource
from sqlora.platform.models import CustomModel
from sqlora.platform.names import check_name
from sqlora.platform.state import State
from sqlora.platform.usage import UsageRow
from sqlora.project import Project
from sqlora.prompting import asked_in

AT_ONCE = 32  # questions of a batch on their way; the server computes them together


@dataclass(frozen=True)
class Place:
    """Where a deployment is asked: which server, and the model's name there. ``row`` None: the base model."""

    target: Target
    server: Server
    model: str
    row: Resource | None


class VllmBackend(ServesOnly):
    """`Backend` over a vLLM server, for deployments alone: jobs and models are the local backend's.

    ``open_server`` replaces the client. Does not close the state. Answers may be asked for from several threads.
    """

    def __init__(self, project: Project, state: State, open_server: Callable[[str], Server] = Server) -> None:
        self.project, self.state, self._settings = project, state, project.vllm
        self._open_server = open_server
        self._servers: dict[str, Server] = {}
        self._systems = Systems(project)

    def close(self) -> None:
        """Let go of the connections."""
        for server in self._servers.values():
            server.close()

    def _server(self, url: str) -> Server:
        """A deployment stays on the server that it was made on, whatever the settings say now."""
        return self._servers.setdefault(url, self._open_server(url))

    # deployments ----------------------------------------------------------------------------------------------

    def create_deployment(self, model: str, name: str | None = None) -> Deployment:
        """See `Backend`; ``model`` is a local one. ConfigError when the server serves another base model."""
        custom = self.state.models.require_active(model)
        chosen = check_name("deployment", name or self.project.deploy.name or custom.name)
        row = self.state.ledger.find("deployment", chosen)
        if row is None:
            row = self._plan(custom, chosen)
        self._require_same(row, custom, chosen)
        return self._shown(row if row.status == "created" else self._make(row, custom))

    def _plan(self, custom: CustomModel, name: str) -> Resource:
        if any(deployment.name == name for deployment in self.state.deployments.list()):
            raise ConflictError(f"a deployment named {name!r} exists already, on this machine", "another --name")
        server, settings = self._server(self._settings.url), self._settings
        source = whole(self.project.state / custom.folder, custom.name)
        base = server.base(custom.base_model, settings.model)
        if name == base.id:
            raise ConflictError(f"the name {name!r} means the untuned base model on the server", "another --name")
        copy = settings.folder / name if settings.folder is not None else None
        path = f"{settings.server_folder.rstrip('/')}/{name}" if settings.server_folder else str(copy or source)
        details = {
            "model_id": custom.id, "url": server.url, "base": base.root, "path": path,
            "copy": str(copy) if copy else None, "resolver": settings.resolver,
        }  # fmt: skip
        return self.state.ledger.plan(NAME, "deployment", name, details=details)

    def _require_same(self, row: Resource, custom: CustomModel, name: str) -> None:
        if row.backend != NAME or row.details["model_id"] != custom.id or row.status == "deleting":
            what = "is being deleted" if row.status == "deleting" else f"is another one's, on {row.backend}"
            raise ConflictError(f"deployment {name!r} {what}", f"sqlora deployments rm {name}, or another --name")

    def _make(self, row: Resource, custom: CustomModel) -> Resource:
        """Have the server serve a planned deployment. One that it refuses leaves nothing behind."""
        try:
            self._load(row, custom)
        except FinalError:
            self._withdraw(row)
            self.state.ledger.deleted(row.id)
            raise
        return self.state.ledger.created(row.id, f"{row.details['url']}/v1/models/{row.name}")

    def _load(self, row: Resource, custom: CustomModel) -> None:
        source, details = whole(self.project.state / custom.folder, custom.name), row.details
        if details["copy"]:
            publish(source, Path(details["copy"]), details["base"], row.id)
        server = self._server(details["url"])
        if not details["resolver"]:
            server.load(row.name, details["path"])
            return
        # A server that looks for adapters by itself does so at the first question; this one proves that it finds it.
        hello = answers.body(row.name, [{"role": "user", "content": "?"}], Sampling(max_tokens=1))
        try:
            server.answer(hello, uuid.uuid4().hex)
        except NotServed as error:
            raise ModelError(
                f"the vLLM server at {server.url} does not find the adapter {row.name!r} that was put into "
                f"{details['copy']}",
                f"VLLM_PLUGINS=lora_filesystem_resolver, VLLM_LORA_RESOLVER_CACHE_DIR=that folder there; {GUIDE}",
            ) from error

    def _withdraw(self, row: Resource) -> None:
        if row.details["copy"]:
            withdraw(Path(row.details["copy"]), row.id)

    def deployments(self) -> list[Deployment]:
        """See `Backend`."""
        return [self._shown(row) for row in self.state.ledger.list(kind="deployment", backend=NAME)]

    def deployment(self, id: str) -> Deployment:
        """See `Backend`. One that the server has forgotten is Active too: the next question has it loaded."""
        return self._shown(self._row(id))

    def delete_deployment(self, id: str) -> None:
        """See `Backend`. A server that is not running has forgotten it already."""
        self.remove(self._row(id))

    def resources(self) -> list[Resource]:
        """What it made and what is not gone yet: deployments."""
        return self.state.ledger.list(backend=NAME)

    def remove(self, resource: Resource) -> None:
        """Unload it and remove its copy, or go on with that.

        ServiceError where it cannot be told whether the server still runs; the row is Deleting until it can.
        """
        row = self.state.ledger.get(resource.id)
        if row.status == "deleted":
            return
        self.state.ledger.deleting(row.id)
        self._withdraw(row)  # first: a server that finds adapters by itself would load it again
        try:
            self._server(row.details["url"]).unload(row.name, None if row.details["resolver"] else row.details["path"])
        except NotThere:
            pass
        self.state.ledger.deleted(row.id)

    def _row(self, id: str) -> Resource:
        row = self.state.ledger.find("deployment", id)
        if row is None or row.backend != NAME:
            raise NotFoundError(f"no deployment {id!r} on a vLLM server", "sqlora deployments list")
        return row

    def _shown(self, row: Resource) -> Deployment:
        status: DeploymentStatus = "Active" if row.status == "created" else "Creating"
        message = None
        if row.status == "deleting":
            status, message = "Failed", "its deletion has not ended"
        model_id = str(row.details["model_id"])
        return Deployment(
            row.id, row.name, model_id, status, row.created_at, row.updated_at, message, backend=NAME, arn=row.arn
        )

    # answers --------------------------------------------------------------------------------------------------

    def system(self, deployment: str = BASE, question: str = "") -> str:
        """See `Backend`."""
        return self._systems.of(self._target(deployment)[0], question)

    def count_tokens(self, deployment: str, record: Mapping[str, Any]) -> int:
        """The tokens of the prompt that `converse` would send, counted by the server."""
        place = self._place(deployment)
        return place.server.count(place.model, self._messages(place, record))[0]

    def converse(
        self,
        deployment: str,
        record: Mapping[str, Any],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> Answer:
        """See `Backend`; returns when the answer begins. What an abandoned answer took is on the books."""
        started, request_id = time.perf_counter(), uuid.uuid4().hex
        place = self._place(deployment)
        begun = self._begin(place, record, sampling or Sampling(), request_id)
        name, tokens = place.target.name, begun.prompt_tokens
        return Answer(begun.pieces, name, caller, tokens, started, self._book, begun.close, request_id)

    def converse_batch(
        self,
        deployment: str,
        records: Sequence[Mapping[str, Any]],
        sampling: Sampling | None = None,
        *,
        caller: str = "local",
    ) -> list[Completion]:
        """See `Backend`: asked at once, and computed together by the server. The first error ends it."""
        place = self._place(deployment)
        if not records:
            return []
        self._messages(place, records[0])  # the system text is read once, before there are threads

        def ask(record: Mapping[str, Any]) -> Completion:
            started, request_id = time.perf_counter(), uuid.uuid4().hex
            begun = self._begin(place, record, sampling or Sampling(), request_id)
            waited = time.perf_counter() - started
            answer = later(next(piece for piece in begun.pieces if isinstance(piece, Completion)), waited)
            self._book(row_of(place.target.name, caller, answer, request_id))
            return answer

        with ThreadPoolExecutor(min(AT_ONCE, len(records)), "vllm") as threads:
            asked = [threads.submit(ask, record) for record in records]
            try:
                return [answer.result() for answer in asked]
            except BaseException:
                for answer in asked:
                    answer.cancel()
                raise

    def _book(self, row: UsageRow) -> None:
        self.state.usage.record([replace(row, backend=NAME)])

    def _begin(self, place: Place, record: Mapping[str, Any], sampling: Sampling, request_id: str) -> Begun:
        """The answer, once the server has begun with it.

        An adapter that the server has forgotten is loaded again, and an answer longer than the context has room for
        is cut, both only when the server says so: most questions take one call.
        """
        chat = self._messages(place, record)
        try:
            return answers.begin(place.server, answers.body(place.model, chat, sampling), request_id)
        except NotServed:
            if place.row is None:
                raise
            self._load(place.row, self.state.models.get(str(place.row.details["model_id"])))
        except ContextError:
            tokens, context = place.server.count(place.model, chat)
            sampling = fit(tokens, sampling, context)
        return answers.begin(place.server, answers.body(place.model, chat, sampling), request_id)

    def _messages(self, place: Place, record: Mapping[str, Any]) -> list[dict[str, str]]:
        system = self._systems.known(place.target, asked_in(record)) if place.target.model else None
        return answers.messages(record, system)

    def _place(self, deployment: str) -> Place:
        target, row = self._target(deployment)
        if row is None:
            server = self._server(self._settings.url)
            return Place(target, server, server.base(target.base_model, self._settings.model).id, None)
        if row.status != "created":
            raise ConflictError(
                f"deployment {row.name!r} is {self._shown(row).status}",
                f"sqlora deploy, or sqlora deployments rm {row.name}",
            )
        return Place(target, self._server(str(row.details["url"])), row.name, row)

    def _target(self, deployment: str) -> tuple[Target, Resource | None]:
        if deployment == BASE:
            return target_of_base(self.project), None
        row = self._row(deployment)
        model = self.state.models.get(str(row.details["model_id"]))
        return Target(row.name, model.base_model, model, self.project.paths.deployment(row.id)), row
