"""Which adapters are in memory: against a model of the rules, and with threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from sqlora.engines.residency import BUDGET_BYTES, Residency
from tests.threads import together

KEYS = "abcdef"
SIZES = {"a": 10, "b": 20, "c": 30, "d": 40, "e": 70, "f": 120}  # f alone is over the budget
BUDGET, IDLE = 100, 50.0


class Memory:
    """What is really loaded; loading what is loaded or unloading what is not fails the test."""

    def __init__(self, sizes: dict[str, int] = SIZES) -> None:
        self.sizes, self.loaded, self.log = sizes, set[str](), list[str]()

    def load(self, key: str) -> int:
        assert key not in self.loaded
        self.loaded.add(key)
        self.log.append(f"load {key}")
        return self.sizes[key]

    def unload(self, key: str) -> None:
        self.loaded.remove(key)
        self.log.append(f"unload {key}")

    def lease(self, residency: Residency, key: str) -> AbstractContextManager[None]:
        return residency.lease(key, lambda: self.load(key), lambda: self.unload(key))


class ResidencyMachine(RuleBasedStateMachine):
    """The rules, said a second time as plainly as possible: a list in the order of last use."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.memory = Memory()
        self.residency = Residency(BUDGET, IDLE, lambda: self.now)
        self.held: dict[str, int] = dict.fromkeys(KEYS, 0)
        self.pinned: set[str] = set()
        self.unwanted: set[str] = set()
        self.used: list[tuple[str, float]] = []  # resident ones, least recently used first
        self.loads = self.evictions = 0

    # the model ------------------------------------------------------------------------------------------------

    def touch(self, key: str) -> None:
        self.used = [(other, at) for other, at in self.used if other != key] + [(key, self.now)]

    def free(self) -> list[str]:
        return [key for key, _ in self.used if not self.held[key] and key not in self.pinned]

    def remove(self, key: str) -> None:
        self.used = [(other, at) for other, at in self.used if other != key]
        self.unwanted.discard(key)
        self.evictions += 1

    def settle(self) -> None:
        for key in [key for key in self.free() if key in self.unwanted]:
            self.remove(key)
        while self.size() > BUDGET and self.free():
            self.remove(self.free()[0])

    def size(self) -> int:
        return sum(SIZES[key] for key, _ in self.used)

    # what may happen ------------------------------------------------------------------------------------------

    @rule(target=leases, key=st.sampled_from(KEYS))
    def begin(self, key: str) -> tuple[str, ExitStack]:
        self.now += 1
        stack = ExitStack()
        if key not in {resident for resident, _ in self.used}:
            self.loads += 1
        self.held[key] += 1
        self.touch(key)
        if key not in self.memory.loaded:
            self.settle()  # room is made when something was loaded
        stack.enter_context(self.memory.lease(self.residency, key))
        return key, stack

    @rule(lease=consumes(leases))
    def end(self, lease: tuple[str, ExitStack]) -> None:
        self.now += 1
        key, stack = lease
        stack.close()
        self.held[key] -= 1
        self.touch(key)
        self.settle()

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=6))
    def use(self, keys: list[str]) -> None:
        for key in keys:
            self.end(self.begin(key))

    @rule(key=st.sampled_from(KEYS))
    def fail_to_load(self, key: str) -> None:
        if key in {resident for resident, _ in self.used}:
            return

        def load() -> int:
            raise OSError("no such file")

        with pytest.raises(OSError, match="no such file"), self.residency.lease(key, load, lambda: None):
            raise AssertionError("an adapter that was not loaded has been leased")

    @rule(key=st.sampled_from(KEYS))
    def pin(self, key: str) -> None:
        self.residency.pin(key)
        self.pinned.add(key)

    @rule(key=st.sampled_from(KEYS))
    def unpin(self, key: str) -> None:
        self.residency.unpin(key)
        self.pinned.discard(key)
        self.settle()

    @rule(key=st.sampled_from(KEYS))
    def evict(self, key: str) -> None:
        self.residency.evict(key)
        self.pinned.discard(key)
        if key in {resident for resident, _ in self.used}:
            self.unwanted.add(key)
            self.settle()

    @rule(seconds=st.floats(0, 2 * IDLE))
    def sweep(self, seconds: float) -> None:
        self.now += seconds
        idle = [key for key, at in self.used if key in self.free() and at < self.now - IDLE]
        assert sorted(self.residency.sweep()) == sorted(idle)
        for key in idle:
            self.remove(key)

    # what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def memory_is_as_the_rules_say(self) -> None:
        assert self.memory.loaded == {key for key, _ in self.used}

    @invariant()
    def the_table_tells_it(self) -> None:
        table = self.residency.table()
        assert [row.key for row in table] == [key for key, _ in reversed(self.used)]
        for row in table:
            assert (row.bytes, row.leases) == (SIZES[row.key], self.held[row.key])
            assert row.pinned == (row.key in self.pinned)
            assert row.last_used == dict(self.used)[row.key]
            assert row.loads == self.memory.log.count(f"load {row.key}")
        assert self.residency.bytes == self.size()
        assert (self.residency.loads, self.residency.evictions) == (self.loads, self.evictions)

    @invariant()
    def what_is_leased_is_there_and_the_budget_is_kept_where_it_can_be(self) -> None:
        assert {key for key, count in self.held.items() if count} <= self.memory.loaded
        if self.residency.bytes > BUDGET:
            assert not self.free(), "something could have been evicted"


TestResidency = ResidencyMachine.TestCase
TestResidency.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def test_the_least_recently_used_makes_room() -> None:
    residency, memory = Residency(BUDGET, clock=lambda: 0.0), Memory()  # also within one tick of the clock
    for key in "abcadf":
        with memory.lease(residency, key):
            pass
    assert memory.log == [
        *("load a", "load b", "load c", "load d"),  # exactly the budget
        *("load f", "unload b", "unload c", "unload a", "unload d", "unload f"),
    ]


# threads --------------------------------------------------------------------------------------------------------


def all_wait(residency: Residency, count: int) -> Callable[[], None]:
    """Returns once so many threads lease or await the only adapter."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        while [row.leases for row in residency.table()] != [count]:
            assert time.monotonic() < deadline, f"not {count} leases: {residency.table()}"
            time.sleep(0.001)

    return wait


def test_it_is_loaded_once_however_many_ask() -> None:
    residency, memory = Residency(), Memory()
    wait = all_wait(residency, 6)

    def load() -> int:
        wait()  # until the other five are there
        return memory.load("a")

    def work(number: int) -> None:
        with residency.lease("a", load, lambda: memory.unload("a")):
            assert memory.loaded == {"a"}

    assert together(6, work) == []
    assert memory.log == ["load a"]
    assert [row.leases for row in residency.table()] == [0]


def test_a_failed_load_fails_all_who_wait_for_it_and_the_next_one_tries_again() -> None:
    residency, memory = Residency(), Memory()
    wait = all_wait(residency, 4)

    def load() -> int:
        wait()
        raise OSError("torn off")

    def work(number: int) -> None:
        with residency.lease("a", load, lambda: None):
            raise AssertionError

    raised = together(4, work)
    assert [str(error) for error in raised] == ["torn off"] * 4
    assert (residency.table(), residency.loads) == ([], 0)
    with memory.lease(residency, "a"):
        assert memory.loaded == {"a"}


def test_what_is_being_unloaded_is_waited_for_and_loaded_anew() -> None:
    residency, memory = Residency(), Memory()
    unloading, go_on = threading.Event(), threading.Event()

    def unload() -> None:
        unloading.set()
        assert go_on.wait(60)
        memory.unload("a")

    with residency.lease("a", lambda: memory.load("a"), unload):
        pass
    evicting = threading.Thread(target=residency.evict, args=("a",), daemon=True)
    evicting.start()
    assert unloading.wait(60)
    assert residency.table() == []
    with memory.lease(residency, "b"):  # nobody else is held up
        pass
    again = threading.Thread(target=lambda: memory.lease(residency, "a").__enter__(), daemon=True)
    again.start()
    go_on.set()
    for thread in (evicting, again):
        thread.join(60)
    assert memory.log == ["load a", "load b", "unload a", "load a"]


def test_a_slow_load_holds_up_nobody_else() -> None:
    residency, memory = Residency(), Memory()
    loading, go_on = threading.Event(), threading.Event()

    def load() -> int:
        loading.set()
        assert go_on.wait(60)
        return memory.load("a")

    def slow() -> None:
        with residency.lease("a", load, lambda: None):
            pass

    thread = threading.Thread(target=slow, daemon=True)
    thread.start()
    assert loading.wait(60)
    with memory.lease(residency, "b"):
        assert memory.loaded == {"b"}
    assert {row.key: row.bytes for row in residency.table()} == {"a": 0, "b": 20}
    go_on.set()
    thread.join(60)
    assert not thread.is_alive()


def test_a_lease_may_end_in_another_thread() -> None:
    residency, memory = Residency(BUDGET), Memory()
    lease = memory.lease(residency, "f")
    lease.__enter__()
    assert together(1, lambda _: lease.__exit__(None, None, None) and None) == []
    assert memory.log == ["load f", "unload f"]


def test_an_unload_that_fails_does_not_fail_the_request_that_made_room(caplog: pytest.LogCaptureFixture) -> None:
    residency, memory = Residency(BUDGET), Memory()

    def unload() -> None:
        raise OSError("stuck")

    with residency.lease("a", lambda: memory.load("a"), unload):
        pass
    with memory.lease(residency, "f"):
        assert [row.key for row in residency.table()] == ["f"]
    assert "unloading a failed" in caplog.text


def test_whatever_threads_do_no_adapter_is_unloaded_under_a_lease() -> None:
    residency, memory = Residency(BUDGET, 0.0), Memory()
    lock, users = threading.Lock(), dict.fromkeys(KEYS, 0)

    def load(key: str) -> int:
        with lock:
            return memory.load(key)

    def unload(key: str) -> None:
        with lock:
            assert users[key] == 0
            memory.unload(key)

    def use(key: str) -> None:
        with residency.lease(key, lambda: load(key), lambda: unload(key)):
            with lock:
                assert key in memory.loaded
                users[key] += 1
            time.sleep(0.0002)
            with lock:
                assert key in memory.loaded
                users[key] -= 1

    def work(number: int) -> None:
        random = Random(number)
        for _ in range(150):
            match random.randrange(10):
                case 0:
                    residency.sweep()
                case 1:
                    residency.evict(random.choice(KEYS))
                case 2:
                    residency.pin("a")
                    residency.unpin("a")
                case _:
                    use(random.choice(KEYS))

    assert together(8, work) == []
    assert sum(row.leases for row in residency.table()) == 0
    assert residency.bytes == sum(SIZES[key] for key in memory.loaded) <= BUDGET
    assert residency.loads - residency.evictions == len(memory.loaded)
    assert memory.log.count("unload f") == memory.log.count("load f") > 0


def test_fifty_adapters_and_their_prefixes_are_under_two_gigabytes() -> None:
    from sqlora.engines.prefixes import BUDGET_BYTES as PREFIX_BYTES

    layer = 2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536)  # of the default base model, q o, k v and the MLP
    adapter = 4 * 16 * 30 * layer  # float32, rank 16, 30 layers
    assert 50 * adapter < BUDGET_BYTES
    assert BUDGET_BYTES + adapter + PREFIX_BYTES < 2 * 2**30
