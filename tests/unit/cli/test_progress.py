from __future__ import annotations

import pytest

from sqlora.cli.progress import ProgressLine


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_elsewhere_than_on_a_terminal_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with ProgressLine(terminal=False, clock=clock, every=10.0) as line:
        for step in range(101):
            line.update("training", step, 100, f"loss {1 - step / 100:.2f}")
            clock.now += 1
    assert lines(capsys)[:3] == [
        "training 0 of 100, loss 1.00",
        "training 10 of 100, loss 0.90, 1 min 30 s left",
        "training 20 of 100, loss 0.80, 1 min 20 s left",
    ]


def test_a_new_phase_and_the_end_are_always_said_and_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine(terminal=False, clock=Clock()) as line:
        line.update("loading")
        line.update("loading")
        line.update("training", 0, 5, seconds_left=200.0)
        line.update("training", 3, 5)
        line.update("training", 5, 5)
        line.update("training", 5, 5)
        line.message("done \x1b[2J")
    assert lines(capsys) == [
        "loading",
        "training 0 of 5, 3 min 20 s left",
        "training 5 of 5",
        "done ?[2J",
    ]


def test_a_count_without_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine(terminal=False, clock=Clock()) as line:
        line.update("reading", 1234)
    assert lines(capsys) == ["reading 1,234"]


def test_on_a_terminal_the_bar_has_phase_count_detail_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with ProgressLine(terminal=True) as line:
        line.update("training", 3, 10, "loss 0.50 [x]", seconds_left=65.0)
        line.message("a line that stays")
        line.update("saving", 1, 1)
    shown = capsys.readouterr().err
    for words in ("training", "3/10", "loss 0.50 [x]", "1 min 05 s left", "a line that stays", "saving"):
        assert words in shown
