from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.cost.break_even import Curve, break_even

amounts = st.integers(0, 10_000).map(lambda cents: Decimal(cents) / 100)
curves = st.builds(Curve, amounts, amounts, st.none() | st.integers(1, 100_000))


@pytest.mark.parametrize(
    ("other", "cheaper", "queries", "text"),
    [
        (Curve(Decimal(5176), Decimal(0)), "from", 142_144_231, "it costs less from 142,144,231 questions a month on"),
        (Curve(Decimal(5176), Decimal(0), 1000), "never", None,
         "it never costs less: it answers 1,000 questions a month at the most"),
        (Curve(Decimal(0), Decimal("0.0001")), "up to", 30_660, "it costs less up to 30,660 questions a month"),
        (Curve(Decimal(0), Decimal("0.0001"), 500), "up to", 500, "it costs less up to 500 questions a month"),
        (Curve(Decimal(0), Decimal("0.00001")), "always", 0, "it always costs less"),
        (Curve(Decimal(9), Decimal("0.0001")), "never", None, "it never costs less"),
        (None, "unknown", None, ""),
    ],
)  # fmt: skip
def test_against_bedrock_on_demand(other: Curve | None, cheaper: str, queries: int | None, text: str) -> None:
    found = break_even("it", other, Curve(Decimal("1.95"), Decimal("0.0000364")))
    assert (found.cheaper, found.queries, found.text) == (cheaper, queries, text)


@given(curves, curves)
def test_on_its_side_of_the_break_even_each_is_the_cheaper_one(other: Curve, on_demand: Curve) -> None:
    found = break_even("it", other, on_demand)

    def wins(queries: int) -> bool:
        return other.at(queries) <= on_demand.at(queries)

    def possible(queries: int) -> bool:
        return other.most is None or queries <= other.most

    if found.cheaper in ("from", "up to"):
        assert found.queries is not None
        assert possible(found.queries)
        assert wins(found.queries)
        beyond = found.queries + 1 if found.cheaper == "up to" else found.queries - 1
        assert not possible(beyond) or not wins(beyond)
    if found.cheaper == "always":
        assert wins(0)
        assert wins(10**9)
    if found.cheaper == "never":
        assert not wins(1)
        assert not wins(other.most or 10**9)
