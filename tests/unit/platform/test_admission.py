"""The queue in front of the engine: bounded, in order within a deployment, fair between them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sqlora.errors import BusyError
from sqlora.platform.admission import FairQueue, Ticket

NAMES = st.sampled_from(["ann", "bob", "cyd", "dan"])


def test_deployments_take_turns_however_many_one_has_sent() -> None:
    queue = FairQueue(running=1)
    for name in ["ann"] * 5 + ["bob", "cyd"]:
        queue.join(name)
    order = []
    while started := queue.ready():
        (ticket,) = started
        order.append(ticket.deployment)
        queue.leave(ticket)
    assert order == ["ann", "bob", "cyd", "ann", "ann", "ann", "ann"]


def test_a_late_comer_is_next_but_one() -> None:
    queue = FairQueue(running=1)
    for _ in range(50):
        queue.join("ann")
    (running,) = queue.ready()
    late = queue.join("bob")
    queue.leave(running)
    (second,) = queue.ready()
    queue.leave(second)
    assert (second.deployment, queue.ready()) == ("ann", [late])


def test_ready_tells_each_ticket_once_and_only_while_there_is_room() -> None:
    queue = FairQueue(running=2)
    tickets = [queue.join("ann") for _ in range(3)]
    assert queue.ready() == tickets[:2]
    assert queue.ready() == []
    assert (queue.running, queue.waiting, queue.waiting_of("ann"), queue.waiting_of("bob")) == (2, 1, 1, 0)
    queue.leave(tickets[0])
    assert queue.ready() == [tickets[2]]


def test_full_as_a_whole_or_for_one_deployment() -> None:
    queue = FairQueue(running=1, waiting=3, waiting_each=2)
    first, _ = queue.join("ann"), queue.join("ann")
    with pytest.raises(BusyError, match="too many requests: 2 to deployment 'ann' wait already"):
        queue.join("ann")
    queue.join("bob")
    with pytest.raises(BusyError, match="too many requests: 3 wait already"):
        queue.join("cyd")
    assert queue.ready() == [first]
    queue.join("ann")


def test_who_leaves_the_line_gives_the_place_up_and_leaving_twice_is_once() -> None:
    queue = FairQueue(running=1, waiting=2, waiting_each=2)
    first, second = queue.join("ann"), queue.join("ann")
    queue.leave(first)
    queue.leave(first)
    third = queue.join("ann")
    assert queue.ready() == [second]
    queue.leave(second)
    queue.leave(second)
    queue.leave(first)
    assert queue.ready() == [third]
    queue.leave(Ticket("ann"))
    assert (queue.running, queue.waiting) == (1, 0)


@pytest.mark.parametrize("bounds", [{"running": 0}, {"waiting": 0}, {"waiting_each": 0}])
def test_a_queue_that_lets_nobody_run_is_refused(bounds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="nobody could run or wait"):
        FairQueue(**bounds)


@settings(max_examples=200)
@given(arrivals=st.lists(NAMES, max_size=60), running=st.integers(1, 4))
def test_everybody_runs_exactly_once(arrivals: list[str], running: int) -> None:
    queue = FairQueue(running, waiting=100, waiting_each=100)
    joined = [queue.join(name) for name in arrivals]
    ran: list[Ticket] = []
    while started := queue.ready():
        ran += started
        queue.leave(started[0])
        for ticket in started[1:]:
            queue.leave(ticket)
    assert Counter(ran) == Counter(joined)
    assert (queue.running, queue.waiting, queue.waiting_of("ann")) == (0, 0, 0)


class Waiting(NamedTuple):
    """What a ticket met when it joined, and the starts of each other deployment that it has seen since."""

    ahead: int
    starts: Counter[str]


class Admission(RuleBasedStateMachine):
    """Requests come, start, end and are given up in any order."""

    @initialize(running=st.integers(1, 3), waiting=st.integers(1, 12), each=st.integers(1, 6))
    def open(self, running: int, waiting: int, each: int) -> None:
        self.bounds = (running, waiting, each)
        self.queue = FairQueue(running, waiting, each)
        self.lines: dict[str, list[Ticket]] = {}
        self.seen: dict[Ticket, Waiting] = {}
        self.running: list[Ticket] = []

    def count(self) -> int:
        return sum(map(len, self.lines.values()))

    @rule(name=NAMES)
    def join(self, name: str) -> None:
        line = self.lines.setdefault(name, [])
        if self.count() == self.bounds[1] or len(line) == self.bounds[2]:
            with pytest.raises(BusyError):
                self.queue.join(name)
            return
        ticket = self.queue.join(name)
        assert ticket.deployment == name
        self.seen[ticket] = Waiting(len(line), Counter())
        line.append(ticket)

    @rule()
    def start(self) -> None:
        free = self.bounds[0] - len(self.running)
        could = min(free, self.count())
        started = self.queue.ready()
        assert len(started) == could  # no place stays free while somebody waits
        for ticket in started:
            assert self.lines[ticket.deployment].pop(0) is ticket  # in order within its deployment
            del self.seen[ticket]
            for other, waiting in self.seen.items():
                if other.deployment != ticket.deployment:
                    waiting.starts[ticket.deployment] += 1
                    # Fair: one turn of another deployment for each place in the ticket's own line, and no more.
                    assert waiting.starts[ticket.deployment] <= waiting.ahead + 1
            self.running.append(ticket)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if self.running:
            ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
            self.queue.leave(ticket)

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        if self.seen:
            ticket = data.draw(st.sampled_from(list(self.seen)))
            self.lines[ticket.deployment].remove(ticket)
            del self.seen[ticket]
            self.queue.leave(ticket)
            self.queue.leave(ticket)

    @invariant()
    def counts_and_bounds(self) -> None:
        assert (self.queue.running, self.queue.waiting) == (len(self.running), self.count())
        assert self.queue.running <= self.bounds[0]
        assert self.queue.waiting <= self.bounds[1]
        for name, line in self.lines.items():
            assert self.queue.waiting_of(name) == len(line) <= self.bounds[2]


TestAdmission = Admission.TestCase
TestAdmission.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
