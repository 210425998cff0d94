from __future__ import annotations

import dataclasses
from decimal import Decimal
from xml.etree import ElementTree as xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.cost.chart import HEIGHT, MARKS, WIDTH, Chart, chart, draw, short
from sqlora.cost.machine import Machine, machine_options
from sqlora.cost.model import MonthlyCost, monthly_cost
from sqlora.cost.prices import own_prices
from sqlora.cost.svg import svg

SVG = "{http://www.w3.org/2000/svg}"
MACHINE = Machine(Decimal("1.8"), 250, Decimal("0.10"))


def drawn(month: MonthlyCost) -> Chart:
    found = chart(month)
    assert found is not None
    return found


def test_on_demand_is_dearer_than_hosting_only_to_the_right_of_the_break_even() -> None:
    found = drawn(monthly_cost())
    on_demand, always = found.series[:2]
    break_even = found.break_even[0].queries
    assert break_even is not None
    crossing = found.x.place(break_even)
    for (x, y), (_, flat) in zip(found.points(on_demand, 80), found.points(always, 80), strict=True):
        assert (y > flat) == (x > crossing)


def test_as_text_it_has_every_option_and_both_axes() -> None:
    lines = draw(drawn(monthly_cost(more=machine_options(MACHINE, 22_000))))
    text = "\n".join(lines)
    assert all(f"{mark} {name}" in text for mark, name in zip(MARKS, ("Bedrock on demand", "hosting on"), strict=False))
    assert "◆ this machine, while it answers" in text
    assert "┊ 22,000 questions, $2.75 on demand" in text
    assert "$10k ┤" in text
    assert "100k" in lines[HEIGHT + 1]
    assert all(len(line) <= WIDTH + 18 for line in lines)


def test_a_machine_is_drawn_as_far_as_it_can_answer() -> None:
    found = drawn(monthly_cost(more=machine_options(MACHINE, 22_000)))
    busy = next(series for series in found.series if series.name.startswith("this machine, while"))
    assert max(x for x, _ in found.points(busy, 200)) == pytest.approx(found.x.place(MACHINE.most))


def test_without_a_price_of_on_demand_there_is_nothing_to_draw() -> None:
    table = own_prices()
    gone = dataclasses.replace(table["nova-micro-custom-input"], value=None, certainty="not found")
    assert chart(monthly_cost(prices=dataclasses.replace(table, prices={**table.prices, gone.name: gone}))) is None


@given(
    st.integers(0, 10**15),
    st.integers(0, 10**6),
    st.none() | st.tuples(st.decimals("0.001", "1000", places=3), st.decimals("0", "100", places=2)),
)
def test_any_month_can_be_drawn(queries: int, tokens: int, machine: tuple[Decimal, Decimal] | None) -> None:
    more = machine_options(Machine(machine[0], 1, machine[1]), queries) if machine else ()
    found = drawn(monthly_cost(queries, tokens, 60, more=more))
    assert len(draw(found)) > HEIGHT
    for series in found.series:
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in found.points(series, 50))
    xml.fromstring(svg(found, "any"))


def test_the_svg_has_a_line_for_each_option_and_a_dot_for_each_break_even() -> None:
    found = drawn(monthly_cost(more=machine_options(MACHINE, 22_000)))
    root = xml.fromstring(svg(found, "800 in & 60 out <each>"))
    assert len(root.findall(f"{SVG}polyline")) == len(found.series) == 5
    assert len(root.findall(f"{SVG}circle")) == len(found.crossings()) == 3
    texts = [element.text for element in root.findall(f"{SVG}text")]
    for expected in ("800 in & 60 out <each>", "142,135,990", "22,000 questions: $2.75 on demand", "Bedrock on demand"):
        assert expected in texts
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    for line in root.findall(f"{SVG}polyline"):
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_the_svg_needs_nothing_from_elsewhere() -> None:
    text = svg(drawn(monthly_cost()), "x").replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text
    assert "<script" not in text


@pytest.mark.parametrize(("power", "text"), [(-1, "0.10"), (0, "1"), (3, "1k"), (5, "100k"), (8, "100M"), (13, "10T")])
def test_short_numbers(power: int, text: str) -> None:
    assert short(power) == text
