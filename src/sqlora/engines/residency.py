"""Which adapters are in memory: loaded when first leased, evicted when idle or when the budget is needed.

An adapter sleeps as a file. A request takes a lease on it; while any lease runs it stays. Between requests it stays as
long as the budget has room (least recently used go first) and it is not idle for too long. This file decides only;
what loading and unloading are is the caller's.

    absent ──lease──▶ loading ──▶ resident ◀──lease / end of lease
       ▲                 │ failed     │ over budget, idle or evicted, and neither leased nor pinned
       └─────────────────┴────────────┴──▶ leaving ──▶ absent

No lock is held while something is loaded or unloaded, so that a slow one holds up nobody but those who wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

BUDGET_BYTES = 2**30
IDLE_SECONDS = 15 * 60.0


@dataclass(frozen=True)
class Resident:
    """One adapter in memory (or on its way, ``bytes`` 0): ``leases`` counts the requests that use or await it.

    ``last_used`` is by the residency's clock, seconds; ``loads`` counts how often it was loaded in this process.
    """

    key: str
    bytes: int
    leases: int
    pinned: bool
    last_used: float
    loads: int


class _Entry:
    """``state`` leaving: being unloaded; whoever wants it then waits and loads it again. ``unwanted``: to be evicted
    when its last lease ends."""

    def __init__(self, key: str, unload: Callable[[], None]) -> None:
        self.key = key
        self.state: Literal["loading", "resident", "leaving"] = "loading"
        self.unload = unload
        self.bytes, self.leases, self.last_used = 0, 1, 0.0
        self.unwanted = False
        self.error: Exception | None = None


class Residency:
    """Adapters in memory under ``budget_bytes``, each for at most ``idle_seconds`` after its last use.

    Safe to use from several threads; a lease may end in another thread than it began in. ``loads`` and ``evictions``
    count since the beginning. ``clock`` gives seconds.
    """

    def __init__(
        self,
        budget_bytes: int = BUDGET_BYTES,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget_bytes, self.idle_seconds = budget_bytes, idle_seconds
        self.loads = self.evictions = 0
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # the least recently used first
        self._pinned: set[str] = set()
        self._loads: dict[str, int] = {}
        self._changed = threading.Condition()

    @property
    def bytes(self) -> int:
        """What the adapters in memory take together; over the budget only while leases and pins leave no choice."""
        with self._changed:
            return self._bytes()

    @contextmanager
    def lease(self, key: str, load: Callable[[], int], unload: Callable[[], None]) -> Iterator[None]:
        """Within it the adapter is in memory.

        ``load`` returns the bytes it takes and is called by one thread, whose others wait for it; when it raises, all
        of them get its error and nothing stays. Its size is known only then, so room is made afterwards: the budget
        may be exceeded by what is being loaded. ``unload`` is called once for each successful load, some time later.
        """
        entry = self._acquire(key, load, unload)
        try:
            yield
        finally:
            self._release(entry)

    def pin(self, key: str) -> None:
        """Never evict it, from now or from its next load on."""
        with self._changed:
            self._pinned.add(key)

    def unpin(self, key: str) -> None:
        """It may be evicted again."""
        with self._changed:
            self._pinned.discard(key)
            leaving = self._choose()
        self._unload(leaving)

    def evict(self, key: str) -> None:
        """Out of memory, pinned or not: now, or when the last lease ends. Nothing happens to one that isn't there."""
        with self._changed:
            self._pinned.discard(key)
            if (entry := self._entries.get(key)) is None:
                return
            entry.unwanted = True
            leaving = self._choose()
        self._unload(leaving)

    def sweep(self) -> list[str]:
        """Evict what has been idle for longer than ``idle_seconds``; returns the keys."""
        with self._changed:
            oldest = self._clock() - self.idle_seconds
            for entry in self._entries.values():
                if self._is_free(entry) and entry.last_used < oldest:
                    entry.unwanted = True
            leaving = self._choose()
        self._unload(leaving)
        return [entry.key for entry in leaving]

    def table(self) -> list[Resident]:
        """What is in memory, the most recently used first."""
        with self._changed:
            return [
                Resident(key, entry.bytes, entry.leases, key in self._pinned, entry.last_used, self._loads.get(key, 0))
                for key, entry in reversed(self._entries.items())
                if entry.state != "leaving"
            ]

    # inside ---------------------------------------------------------------------------------------------------

    def _acquire(self, key: str, load: Callable[[], int], unload: Callable[[], None]) -> _Entry:
        with self._changed:
            while (entry := self._entries.get(key)) is not None and entry.state == "leaving":
                self._changed.wait()
            if entry is None:
                entry = self._entries[key] = _Entry(key, unload)
                self._touch(entry)
            else:
                return self._await(entry)
        return self._load(entry, load)

    def _await(self, entry: _Entry) -> _Entry:
        entry.leases += 1  # one that is awaited can't be evicted between its load and its first use
        try:
            while entry.state == "loading" and entry.error is None:
                self._changed.wait()
            if entry.error is not None:
                raise entry.error
        except BaseException:
            entry.leases -= 1
            raise
        self._touch(entry)
        return entry

    def _load(self, entry: _Entry, load: Callable[[], int]) -> _Entry:
        try:
            size = load()
        except BaseException as error:
            with self._changed:
                # What stops this thread only (Ctrl-C) must not stop those that wait.
                entry.error = error if isinstance(error, Exception) else RuntimeError(
                    f"loading {entry.key} was interrupted"
                )
                del self._entries[entry.key]
                self._changed.notify_all()
            raise
        with self._changed:
            entry.state, entry.bytes = "resident", size
            self.loads += 1
            self._loads[entry.key] = self._loads.get(entry.key, 0) + 1
            self._changed.notify_all()
            leaving = self._choose()
        self._unload(leaving)
        return entry

    def _release(self, entry: _Entry) -> None:
        with self._changed:
            entry.leases -= 1
            self._touch(entry)
            leaving = self._choose()
        self._unload(leaving)

    def _touch(self, entry: _Entry) -> None:
        entry.last_used = self._clock()
        self._entries.move_to_end(entry.key)

    def _is_free(self, entry: _Entry) -> bool:
        return entry.state == "resident" and entry.leases == 0 and entry.key not in self._pinned

    def _bytes(self) -> int:
        return sum(entry.bytes for entry in self._entries.values() if entry.state != "leaving")

    def _choose(self) -> list[_Entry]:
        """Those to be unloaded now, told apart while the lock is held: nobody can lease them any more."""
        free = [entry for entry in self._entries.values() if self._is_free(entry)]
        leaving = [entry for entry in free if entry.unwanted]
        over = self._bytes() - sum(entry.bytes for entry in leaving) - self.budget_bytes
        for entry in free:
            if over > 0 and not entry.unwanted:
                leaving.append(entry)
                over -= entry.bytes
        for entry in leaving:
            entry.state = "leaving"
        return leaving

    def _unload(self, leaving: list[_Entry]) -> None:
        for entry in leaving:
            try:
                entry.unload()
            except Exception:  # the request that made room must not fail for another's adapter
                log.exception("unloading %s failed", entry.key)
            finally:
                with self._changed:
                    del self._entries[entry.key]
                    self.evictions += 1
                    self._changed.notify_all()
