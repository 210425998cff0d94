from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.cli.output import cell, duration, percent, print_fields, print_json, print_table, printable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (Decimal("1234.50"), "1,234.50"),
        (0.12345678, "0.1235"),
        (2.0, "2"),
        (0.0000123, "1.23e-05"),
        (0.0, "0"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (b"\x01\xff", "01ff"),
        (["a", 1], "a, 1"),
        ("a\x1b[31mred", "a?[31mred"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (8.4, "8 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3899, "1 h 04 min"), (-3, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_percent() -> None:
    assert (percent(0.6131), percent(None)) == ("61.3 %", "–")


@given(st.text())
def test_printable_text_has_nothing_a_terminal_obeys(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    assert printable(shown) == shown


def test_json_keeps_numbers_and_dates(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(
        {"n": Decimal("2.50"), "whole": Decimal("3"), "day": dt.date(2026, 1, 31), "path": Path("a/b"), "t": (1,)}
    )
    assert json.loads(capsys.readouterr().out) == {
        "n": 2.5, "whole": 3, "day": "2026-01-31", "path": "a/b", "t": [1],
    }  # fmt: skip


def test_a_table_in_a_pipe_is_never_wrapped_and_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    long = "[red]" + "x" * 500
    print_table(["name", "count"], [[long, 1], ["b", 20]])
    lines = capsys.readouterr().out.splitlines()
    assert any(long in line for line in lines)
    assert [line.split()[-1] for line in lines if line.split()[:1] == ["b"]] == ["20"]


def test_fields_leave_out_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"train_loss": 0.5, "failure": None, "note": "", "id": "x"})
    assert capsys.readouterr().out.splitlines() == ["train loss  0.5", "id          x"]
