"""What becomes Active in the background: imported models, new deployments, deployments whose model changes.

A call that creates something answers at once, Creating; here its adapter is fetched (imports) and checked (its files,
the hash of its weights, the shapes against the base model). The rows that are Creating or Updating are the list of
what there is to do, so `Activation.resume` goes on after a restart, whatever ended the process.

    {state}/models/{id}.import.json    where an import's adapter comes from, written before its row and kept until it
                                       is Active or Failed
    {state}/models/{id}.download       what comes from a bucket, until it has been checked
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from sqlora.backends.local import LocalBackend
from sqlora.errors import ConflictError, NotFoundError, SqloraError
from sqlora.models.adapter import CONFIG, LARGEST_FILE, LARGEST_JSON, MANIFEST, WEIGHTS
from sqlora.platform.models import CustomModel
from sqlora.platform.names import new_id
from sqlora.platform.objects import Objects, under
from sqlora.platform.patience import RETRIES, patiently

THREADS = 4
LARGEST = {WEIGHTS: LARGEST_FILE, CONFIG: LARGEST_JSON, MANIFEST: LARGEST_JSON}  # bytes

_log = logging.getLogger(__name__)


class _Closing(Exception):
    """Not an error: the server ends, and the next one goes on."""


@dataclass(frozen=True)
class Source:
    """Where an import's adapter comes from: another custom model, or a folder of objects."""

    model_id: str | None = None
    uri: str | None = None


class Activation:
    """Does what `resume` finds to do. ``retries``: seconds after which a store that did not answer is asked again."""

    def __init__(self, backend: LocalBackend, objects: Objects, retries: Sequence[float] = RETRIES) -> None:
        self._backend, self._objects = backend, objects
        self._state, self._paths = backend.state, backend.paths
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="activation")
        self._retries = retries
        self._busy: set[str] = set()
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def resume(self) -> None:
        """Begin everything that is Creating or Updating and not begun yet; returns at once."""
        for deployment in self._state.deployments.list():
            if deployment.status == "Creating":
                self._begin(f"deployment {deployment.id}", partial(self._deploy, deployment.id))
            elif deployment.update_status == "Updating":
                self._begin(f"deployment {deployment.id}", partial(self._update, deployment.id))
        for model in self._state.models.list(status="Creating"):
            if self._source_file(model.id).exists():  # else another process is importing it from a folder
                self._begin(f"model {model.id}", partial(self._import, model.id))

    def create_import(self, name: str, base_model: str, source: Source) -> CustomModel:
        """A new custom model, Creating; ConflictError for a taken name. `resume` fetches it."""
        id = new_id()
        file = self._source_file(id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(source)), encoding="utf-8")
        try:
            return self._state.models.create(name, base_model=base_model, id=id, origin="imported", status="Creating")
        except BaseException:
            file.unlink()
            raise

    def close(self) -> None:
        """Wait for what is being done; begin nothing more."""
        with self._lock:
            self._closed.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _begin(self, key: str, work: Callable[[], None]) -> None:
        with self._lock:
            if key in self._busy or self._closed.is_set():
                return
            self._busy.add(key)
            self._threads.submit(self._guarded, key, work)

    def _guarded(self, key: str, work: Callable[[], None]) -> None:
        done = False
        try:
            work()
            done = True
        except (NotFoundError, ConflictError, _Closing):  # deleted, or settled by somebody else, or to be done later
            pass
        except Exception:
            _log.exception("%s could not be activated", key)
        finally:
            with self._lock:
                self._busy.discard(key)
        if done and not self._closed.is_set():
            self.resume()  # what was asked for while this was still busy

    def _deploy(self, id: str) -> None:
        deployment = self._state.deployments.get(id)
        problem = self._problem(lambda: self._backend.check_model(deployment.model_id))
        if problem is None:
            self._paths.deployment(id).mkdir(parents=True, exist_ok=True)
            self._state.deployments.update(id, status="Active")
        else:
            self._state.deployments.update(id, status="Failed", failure_message=problem)

    def _update(self, id: str) -> None:
        problem = self._problem(lambda: self._backend.finish_update(id))
        if problem is not None:
            _log.warning("deployment %s keeps its model: %s", id, problem)

    def _import(self, id: str) -> None:
        """Active or Failed; what is wrong in the files themselves is settled by the backend."""
        try:
            model = self._state.models.get(id)
        except NotFoundError:
            self._source_file(id).unlink(missing_ok=True)
            raise
        if model.status == "Creating":
            problem = self._problem(lambda: self._fill(model))
            if problem is not None and self._state.models.get(id).status == "Creating":
                self._state.models.fail(id, problem)
        self._source_file(id).unlink(missing_ok=True)

    def _fill(self, model: CustomModel) -> None:
        source = Source(**json.loads(self._source_file(model.id).read_text(encoding="utf-8")))
        if source.model_id is not None:
            other = self._state.models.get(source.model_id)
            self._backend.fill_model(model.id, self._paths.path / other.folder)
            return
        folder = self._paths.model(model.id).with_name(f"{model.id}.download")
        try:
            patiently(lambda: self._download(source.uri or "", folder), self._retries, self._pause)
            self._backend.fill_model(model.id, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _download(self, uri: str, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        prefix = under(uri, "")
        there = {found.removeprefix(prefix) for found in self._objects.list(prefix)}
        if missing := [name for name in (CONFIG, WEIGHTS) if name not in there]:
            hint = " (pickled adapter_model.bin files are not read)" if "adapter_model.bin" in there else ""
            raise NotFoundError(f"{uri} holds no {missing[0]}{hint}")
        for name in (CONFIG, MANIFEST, WEIGHTS):
            if name in there:
                self._objects.download(under(uri, name), folder / name, LARGEST[name])

    def _pause(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise _Closing

    def _source_file(self, id: str) -> Path:
        return self._paths.model(id).with_name(f"{id}.import.json")

    @staticmethod
    def _problem(work: Callable[[], object]) -> str | None:
        """Why ``work`` failed, in words; None when it did not."""
        try:
            work()
        except _Closing:
            raise
        except SqloraError as error:
            return error.message
        except Exception as error:
            _log.exception("activation failed")
            return f"internal error: {type(error).__name__}"
        return None
