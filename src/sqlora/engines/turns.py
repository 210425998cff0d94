"""A lock that is given in the order in which it was asked for.

An engine's streams take it step by step. With an ordinary lock the thread that has just given it back is the first to
ask again, and gets it: one answer would run to its end while the others wait for their first token.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A context manager that one thread at a time is in; not to be entered again by the thread that is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._gates: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait for their turn."""
        return len(self._gates)

    def __enter__(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
        try:
            gate.acquire()  # opened by the thread that hands its turn over
        except BaseException:  # Ctrl-C while waiting
            with self._lock:
                if gate in self._gates:
                    self._gates.remove(gate)
                    raise
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._gates:
                self._gates.popleft().release()
            else:
                self._taken = False
