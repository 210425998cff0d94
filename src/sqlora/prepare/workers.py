"""Checking on all cores: each candidate goes to a process of its own kind, and the results come back in order.

    this process ──pickled batches──> python -m sqlora.prepare.workers   (standard input and output, one a core)
                  <──pickled results──  opens its own dialect and database, and checks

Python's own pools start by running the caller's script again or by copying a process that has threads, and hang or
not when a worker is killed, depending on when. A pipe ends when its process does, however that happens.

A worker that ends before its time (memory, a kill, a fault in an engine) is one clear error. A worker whose starter is
gone reads the end of its input, and ends too.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from types import TracebackType
from typing import IO, Any, Self

from sqlora.errors import DatasetError, SqloraError
from sqlora.prepare.check import Checker
from sqlora.prepare.dedupe import Keys, keys_of
from sqlora.prepare.examples import Candidate, Example, Rejection
from sqlora.prepare.limits import rules_of
from sqlora.prepare.reasons import presented
from sqlora.project import Project
from sqlora.sql.execute import Database
from sqlora.sql.schema import Schema

MOST = 16  # processes: more would wait for the one that reads, counts and writes
BATCH = 64  # candidates sent at a time
AHEAD = 3  # batches on their way for each worker
ALONE = 512  # candidates that are checked here before workers are started: a small source is done by then

Result = tuple[str, Example | Rejection, Keys | None]


def make_checker(project: Project, database: Database | None, schema: Schema | None) -> Checker:
    """A checker of the project's examples over its database, open, and its schema."""
    return Checker(
        project.dialect(),
        schema,
        database,
        rules=rules_of(project),
        style=project.prepare.schema_style,
        schema_tokens=project.prepare.schema_tokens,
        folder=project.folder,
    )


@contextmanager
def open_checker(project: Project) -> Iterator[Checker]:
    """A checker with a database connection of its own."""
    with ExitStack() as stack:
        database = stack.enter_context(project.open_database(isolated=True)) if project.database.url else None
        schema = project.read_schema(database) if database else None
        yield stack.enter_context(make_checker(project, database, schema))


def cores() -> int:
    """Processors that this process may use."""
    available = getattr(os, "sched_getaffinity", None)
    return len(available(0)) if available else os.cpu_count() or 1


class ParallelChecker:
    """Checks candidates in their order: the first ones with ``here``, the others in ``processes`` workers.

    ``processes`` below 2 means that all are checked here. A context manager.
    """

    def __init__(self, here: Checker, project: Project, processes: int, alone: int | None = None) -> None:
        self._here, self._project = here, project
        self._alone = ALONE if alone is None else alone
        self._processes = min(processes, MOST)
        self._workers: list[Worker] = []
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(max(1, self._processes), "prepare")

    @property
    def pids(self) -> list[int]:
        """The workers that have been started."""
        return [worker.pid for worker in self._workers]

    def check(self, candidates: Iterable[Candidate | Rejection]) -> Iterator[Result]:
        """(origin, example or why not, an example's keys) of each candidate. What a source has rejected passes through.

        Candidates are read ahead. DatasetError when a worker ends before its time.
        """
        left = iter(candidates)
        while self._alone > 0 or self._processes < 2:
            candidate = next(left, None)
            if candidate is None:
                return
            self._alone -= 1
            yield _check(self._here, candidate)
        waiting: deque[Future[list[Result]]] = deque()
        while batch := list(islice(left, BATCH)):
            self._start_workers()
            waiting.append(self._threads.submit(self._ask, batch))
            if len(waiting) > AHEAD * self._processes:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _start_workers(self) -> None:
        while len(self._workers) < self._processes:
            worker = Worker(self._project)
            self._workers.append(worker)
            self._idle.put(worker)

    def _ask(self, batch: list[Candidate | Rejection]) -> list[Result]:
        worker = self._idle.get()
        try:
            return worker.ask(batch)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the workers; what they were doing is lost."""
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Worker:
    """One process, started here, that checks the batches it is sent, one after the other."""

    def __init__(self, project: Project) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sqlora.prepare.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self.pid = self._process.pid
        self._greeting: Project | None = project

    def ask(self, batch: list[Candidate | Rejection]) -> list[Result]:
        """Check a batch; raises what the worker raised, and DatasetError when it ended instead of answering."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if self._greeting is not None:
                _send(self._process.stdin, self._greeting)
                self._greeting = None
            _send(self._process.stdin, batch)
            answer = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError):
            raise self._ended(batch) from None
        if isinstance(answer, BaseException):
            raise answer
        found: list[Result] = answer
        return found

    def kill(self) -> None:
        """End it: at once, since nothing of it is kept."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and close what led to it."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was not yet sent has nobody to read it
                pass

    def _ended(self, batch: list[Candidate | Rejection]) -> DatasetError:
        code = self._process.wait()
        where = f" while checking {_places(batch)}"
        if code < 0:
            name = signal.Signals(-code).name if -code in {each.value for each in signal.Signals} else f"signal {-code}"
            how = f"was ended by {name}" + (", as happens when memory runs out" if name == "SIGKILL" else "")
        else:
            how = f"ended with code {code}"
        return DatasetError(
            f"a process that checks examples {how}{where}{self._last_words()}",
            "free memory, or set processes = 1 in [prepare]; if it ends there again, leave those lines out",
        )

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read()[-4_000:].decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""


def _check(checker: Checker, candidate: Candidate | Rejection) -> Result:
    if isinstance(candidate, Rejection):
        return candidate.origin, presented(candidate), None
    checked = checker.check(candidate)
    return candidate.origin, checked, keys_of(checked) if isinstance(checked, Example) else None


def _places(batch: list[Candidate | Rejection]) -> str:
    return f"{batch[0].origin or 'an example'} to {batch[-1].origin or 'another'}"


def _send(pipe: IO[bytes], value: object) -> None:
    pickle.dump(value, pipe, pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def work(requests: IO[bytes], answers: IO[bytes]) -> None:
    """A worker's life: the project, then batches, until there are no more."""
    project: Project = pickle.load(requests)
    with ExitStack() as stack:
        checker: Checker | None = None

        def answer(batch: list[Candidate | Rejection]) -> Any:
            nonlocal checker
            if checker is None:
                checker = stack.enter_context(open_checker(project))
                gc.collect()
                gc.freeze()  # what is imported now stays: looking through it for rubbish takes a tenth of the time
            return [_check(checker, candidate) for candidate in batch]

        while True:
            try:
                batch = pickle.load(requests)
            except EOFError:
                return
            _send(answers, _answer(answer, batch))


def _answer(answer: Callable[[list[Candidate | Rejection]], Any], batch: list[Candidate | Rejection]) -> Any:
    try:
        return answer(batch)
    except SqloraError as error:
        return error
    except MemoryError:
        return DatasetError(
            f"memory ran out while checking {_places(batch)}",
            "free memory, or set processes = 1 in [prepare]; if it runs out there again, leave those lines out",
        )


def main() -> None:
    """Be a worker. What anything prints goes to standard error, so that it does not mix with answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the starter ends its workers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    code = 0
    try:
        work(sys.stdin.buffer, answers)
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # what it died of is its last word: libraries complain of what is frozen when they are taken down


if __name__ == "__main__":
    main()
