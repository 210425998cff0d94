"""What is asked before money is spent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import click
import pytest

from sqlora.cli import bill as module
from sqlora.cli.bill import confirm_bill, show_bill
from sqlora.cost.model import Line, Option
from sqlora.errors import ConflictError


def of(dollars: str | None) -> Option:
    amount = None if dollars is None else Decimal(dollars)
    return Option("Bedrock", (Line("training", amount, "8,000,000 tokens × $0.001", "estimated"),))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions, which are answered with yes; there is a terminal."""
    questions: list[str] = []

    def confirm(text: str, **settings: Any) -> bool:
        assert settings == {"abort": True, "err": True}
        questions.append(text)
        return True

    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr(module.sys.stdin, "isatty", lambda: True, raising=False)
    return questions


@pytest.mark.parametrize("dollars", ["0", "9.99", "10"])
def test_a_small_bill_is_not_asked_about(asked: list[str], dollars: str) -> None:
    confirm_bill(of(dollars), Decimal(10), yes=False, interactive=True)
    confirm_bill(of(dollars), Decimal(10), yes=False, interactive=False)
    assert asked == []


@pytest.mark.parametrize("dollars", ["10.01", None])
def test_a_large_or_unknown_one_is(asked: list[str], dollars: str | None) -> None:
    confirm_bill(of(dollars), Decimal(10), yes=False, interactive=True)
    assert len(asked) == 1
    confirm_bill(of(dollars), Decimal(10), yes=True, interactive=True)
    assert len(asked) == 1
    with pytest.raises(ConflictError, match=r"nothing was spent: .* is above confirm_above = 10 dollars") as caught:
        confirm_bill(of(dollars), Decimal(10), yes=False, interactive=False)
    assert "--yes" in (caught.value.next_step or "")


def test_without_a_terminal_nobody_is_asked(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(ConflictError):
        confirm_bill(of("11"), Decimal(10), yes=False, interactive=True)
    assert asked == []


def test_the_bill_has_every_line_and_is_no_output(capsys: pytest.CaptureFixture[str]) -> None:
    show_bill(of("8"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "bill: $8.00 on Bedrock",
        "  training: $8.00 = 8,000,000 tokens × $0.001  (estimated)",
    ]
