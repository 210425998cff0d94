"""Who may run now: a bounded queue, fair between deployments.

    join ──> waiting (first come, first served, in its deployment) ──ready──> running ──leave──> gone

Deployments take turns: however many requests one has sent, another's next request starts after at most one of each
other deployment that waits. Nothing here waits or reads a clock, so it holds under asyncio, threads and in tests alike;
it is not locked: whoever uses it from several threads does that.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sqlora.errors import BusyError


@dataclass(frozen=True, eq=False)
class Ticket:
    """A place in the queue. Two tickets are never equal."""

    deployment: str


class FairQueue:
    """At most ``running`` tickets run, ``waiting`` wait, and ``waiting_each`` of one deployment wait; all at least 1.

    Ask `ready` after each `join` and `leave`: that is when tickets may start.
    """

    def __init__(self, running: int = 4, waiting: int = 256, waiting_each: int = 64) -> None:
        if min(running, waiting, waiting_each) < 1:
            raise ValueError(f"nobody could run or wait: {running=}, {waiting=}, {waiting_each=}")
        self._most_running, self._most_waiting, self._most_each = running, waiting, waiting_each
        self._running: set[Ticket] = set()
        self._waiting = 0
        # The deployments with somebody waiting, whose turn it is first; each one's tickets in order of arrival.
        self._turns: OrderedDict[str, OrderedDict[Ticket, None]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return self._waiting

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def waiting_of(self, deployment: str) -> int:
        """How many of the deployment wait."""
        return len(self._turns.get(deployment, ()))

    def join(self, deployment: str) -> Ticket:
        """Wait at the end of the deployment's line. BusyError when that line, or the queue, is full."""
        if self._waiting >= self._most_waiting:
            raise BusyError(f"too many requests: {self._waiting} wait already", "try again in a few seconds")
        if self.waiting_of(deployment) >= self._most_each:
            raise BusyError(
                f"too many requests: {self._most_each} to deployment {deployment!r} wait already",
                "try again in a few seconds",
            )
        ticket = Ticket(deployment)
        self._turns.setdefault(deployment, OrderedDict())[ticket] = None
        self._waiting += 1
        return ticket

    def ready(self) -> list[Ticket]:
        """The tickets that run from now on, in the order of their turns; each is told once."""
        started = []
        while self._turns and len(self._running) < self._most_running:
            deployment = next(iter(self._turns))
            ticket, _ = self._turns[deployment].popitem(last=False)
            self._turns.move_to_end(deployment)
            self._forget_empty(deployment)
            self._waiting -= 1
            self._running.add(ticket)
            started.append(ticket)
        return started

    def leave(self, ticket: Ticket) -> None:
        """Give the place up, waiting or running; a ticket that has left already is no error."""
        self._running.discard(ticket)
        line = self._turns.get(ticket.deployment)
        if line is not None and ticket in line:
            del line[ticket]
            self._waiting -= 1
            self._forget_empty(ticket.deployment)

    def _forget_empty(self, deployment: str) -> None:
        if not self._turns[deployment]:
            del self._turns[deployment]
