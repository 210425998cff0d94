"""The engine's lock is given in the order in which it was asked for."""

from __future__ import annotations

import threading
import time

from sqlora.engines.turns import Turns


def wait_for(turns: Turns, waiting: int) -> None:
    deadline = time.monotonic() + 60
    while turns.waiting != waiting:
        assert time.monotonic() < deadline, f"{turns.waiting} threads wait, not {waiting}"
        time.sleep(0.001)


def test_who_asks_again_comes_after_those_who_wait() -> None:
    turns, order = Turns(), list[str]()

    def work(name: str) -> None:
        with turns:
            order.append(name)
            wait_for(turns, 2)  # whoever was before has asked again
        with turns:
            order.append(name)

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in "abc"]
    with turns:
        for count, thread in enumerate(threads, start=1):
            thread.start()
            wait_for(turns, count)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert "".join(order) == "abcabc"


def test_one_thread_at_a_time_and_an_error_gives_the_turn_back() -> None:
    turns, inside = Turns(), list[int]()

    def work() -> None:
        for _ in range(200):
            try:
                with turns:
                    inside.append(1)
                    assert len(inside) == 1
                    inside.pop()
                    raise KeyError
            except KeyError:
                pass

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert (inside, turns.waiting) == ([], 0)
    with turns:
        pass
