"""Comparing results: what counts as the same answer, and that nothing else does."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.sql.compare import compare, is_ordered, matching
from sqlora.sql.execute import ResultSet


def result(*rows: tuple[Any, ...], truncated: bool = False) -> ResultSet:
    width = len(rows[0]) if rows else 1
    return ResultSet(tuple(f"c{i}" for i in range(width)), list(rows), truncated)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1, Decimal("1.00")),
        (Decimal("0.3"), 0.1 + 0.2),
        (True, 1),
        (None, None),
        (float("nan"), float("nan")),
        (float("nan"), Decimal("NaN")),
        (float("inf"), Decimal("Infinity")),
        (1234567.0, 1234567.5),  # 4e-7 apart
        (0.0, 1e-10),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.date(2026, 1, 31), dt.datetime(2026, 1, 31)),
        ("2026-01-31 00:00:00", dt.date(2026, 1, 31)),
        (dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), "2026-01-31T13:00:00+01:00"),
        (Decimal("0.33333333333333333333"), Decimal("0.3333333333333333")),
        ([1, 2.0], (1, 2.0)),
        ({"b": 1, "a": 0.30000000000000004}, {"a": 0.3, "b": 1}),
        (b"ab", memoryview(b"ab")),
        (dt.timedelta(days=1), dt.timedelta(hours=24)),
    ],
)
def test_values_that_mean_the_same(a: Any, b: Any) -> None:
    assert compare(result((a,)), result((b,)), ordered=False).equal
    assert compare(result((b,)), result((a,)), ordered=True).equal


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 2),
        (1_000_000, 1_000_001),  # integers are exact
        (Decimal("1000000.00"), Decimal("1000000.01")),  # so are decimals
        (1.0, 1.00001),
        (None, 0),
        (None, ""),
        (None, float("nan")),
        ("a", "A"),
        ("a", "a "),
        ("1", 1),
        (dt.date(2026, 1, 31), "2026-02-01"),
        (dt.date(2026, 1, 31), dt.datetime(2026, 1, 31, 0, 0, 1)),
        ("2026-02-30", "2026-02-28"),
        (float("inf"), float("-inf")),
        (Decimal("Infinity"), Decimal(5)),
        ([1, 2], [2, 1]),
        (b"ab", "ab"),
    ],
)
def test_values_that_differ(a: Any, b: Any) -> None:
    assert not compare(result((a,)), result((b,)), ordered=False).equal
    assert not compare(result((b,)), result((a,)), ordered=True).equal


def test_order_counts_only_when_asked_for() -> None:
    a, b = result((1,), (2,)), result((2,), (1,))
    assert compare(a, b, ordered=False).equal
    verdict = compare(a, b, ordered=True)
    assert not verdict.equal
    assert verdict.reason == "the same rows in another order"


def test_duplicates_count() -> None:
    verdict = compare(result((1,), (1,), (2,)), result((1,), (2,), (2,)), ordered=False)
    assert not verdict.equal
    assert compare(result((1,), (1,)), result((1,)), ordered=False).reason == "expected 2 rows, got 1"


def test_column_permutation_is_allowed_and_reported() -> None:
    a, b = result((1, "x"), (2, "y")), result(("y", 2), ("x", 1))
    assert compare(a, b, ordered=False).columns_permuted
    assert not compare(a, a, ordered=False).columns_permuted
    assert not compare(a, b, ordered=True).equal  # rows are in another order too


def test_columns_fit_one_by_one_but_rows_do_not() -> None:
    verdict = compare(result((1, "x"), (2, "y")), result((1, "y"), (2, "x")), ordered=False)
    assert not verdict.equal
    assert verdict.reason == "the rows differ; row 1: expected (1, x), got (1, y)"


def test_a_permutation_that_only_rows_can_tell() -> None:
    a = result((1, 2, 3), (2, 3, 1), (3, 1, 2), (1, 1, 2), (2, 2, 3), (3, 3, 1))
    b = result(*((z, x, y) for x, y, z in a.rows))
    assert compare(a, b, ordered=False).equal
    assert compare(a, b, ordered=True).columns_permuted


def test_column_count_must_agree() -> None:
    verdict = compare(result((1,)), result((1, 2)), ordered=False)
    assert verdict.reason == "expected 1 column, got 2"


def test_empty_results_are_equal_when_their_columns_are_as_many() -> None:
    assert compare(ResultSet(("a",), []), ResultSet(("b",), []), ordered=True).equal
    assert not compare(ResultSet(("a",), []), ResultSet(("a", "b"), []), ordered=True).equal


def test_truncated_results() -> None:
    whole, cut = result((1,)), result((1,), truncated=True)
    assert "cut at the row limit" in compare(whole, cut, ordered=False).reason
    assert not compare(cut, whole, ordered=False).equal
    both = compare(cut, cut, ordered=False)
    assert both.equal
    assert "row limit" in both.reason


def test_values_that_chain_within_the_tolerance_are_matched_exactly() -> None:
    near = 1 + 0.9e-6
    far = 1 + 1.8e-6  # near to `near`, not to 1
    assert compare(result((1.0,), (near,)), result((near,), (1.0,)), ordered=False).equal
    assert not compare(result((1.0,), (near,)), result((far,), (far,)), ordered=False).equal
    # greedy pairing would give 1.0's only partner away
    a, b = result((near, 0.5), (1.0, 0.5)), result((1.0, 0.5), (far, 0.5))
    assert compare(a, b, ordered=False).equal


def test_a_large_result_with_many_equal_columns() -> None:
    rows = [tuple([0.5] * 12)] * 3_000
    assert compare(result(*rows), result(*rows), ordered=False).equal
    changed = [*rows[:-1], (*rows[-1][:-1], 0.6)]
    assert not compare(result(*rows), result(*changed), ordered=False).equal


def test_matching_is_perfect_or_none() -> None:
    assert matching([[0, 1], [0]], 2) == [1, 0]
    assert matching([[0], [0]], 2) is None


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(allow_nan=True),
    st.decimals(places=2, allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000),
    st.sampled_from(["a", "b", "", "2026-01-31"]),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
)


@st.composite
def results(draw: st.DrawFn, min_rows: int = 0) -> ResultSet:
    width = draw(st.integers(1, 5))
    rows = draw(st.lists(st.tuples(*[CELLS] * width), min_size=min_rows, max_size=8))
    return ResultSet(tuple(f"c{i}" for i in range(width)), rows)


@settings(deadline=None)
@given(results(), st.booleans())
def test_reflexive(table: ResultSet, ordered: bool) -> None:
    verdict = compare(table, table, ordered)
    assert verdict.equal
    assert not verdict.columns_permuted


@settings(deadline=None)
@given(results(), results(), st.booleans())
def test_symmetric(a: ResultSet, b: ResultSet, ordered: bool) -> None:
    assert compare(a, b, ordered).equal == compare(b, a, ordered).equal


@settings(deadline=None)
@given(results(), st.randoms(use_true_random=False))
def test_invariant_to_the_order_of_rows_and_columns(table: ResultSet, chance: random.Random) -> None:
    order = list(range(len(table.columns)))
    chance.shuffle(order)
    rows = [tuple(row[i] for i in order) for row in table.rows]
    assert compare(table, ResultSet(table.columns, rows), ordered=True).equal
    chance.shuffle(rows)
    assert compare(table, ResultSet(table.columns, rows), ordered=False).equal


@settings(deadline=None)
@given(results(min_rows=1), st.data())
def test_any_changed_cell_is_seen(table: ResultSet, data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, len(table.rows) - 1)), data.draw(st.integers(0, len(table.columns) - 1))
    rows = list(table.rows)
    rows[row] = (*rows[row][:column], "changed", *rows[row][column + 1 :])
    assert not compare(table, ResultSet(table.columns, rows), ordered=False).equal
    assert not compare(ResultSet(table.columns, rows), table, ordered=True).equal


@settings(deadline=None)
@given(results(min_rows=1), st.data())
def test_a_dropped_or_doubled_row_is_seen(table: ResultSet, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(table.rows) - 1))
    dropped = ResultSet(table.columns, [*table.rows[:row], *table.rows[row + 1 :]])
    doubled = ResultSet(table.columns, [*table.rows, table.rows[row]])
    assert not compare(table, dropped, ordered=False).equal
    assert not compare(table, doubled, ordered=False).equal


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6), st.data())
def test_a_swap_of_two_cells_is_judged_as_trying_all_permutations_would(
    rows: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """Against the definition itself: some column order makes the sorted rows equal."""
    from itertools import permutations

    i, j = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 2))
    other = [list(row) for row in rows]
    other[i][column], other[j][column] = other[j][column], other[i][column]
    truth = any(sorted(rows) == sorted(tuple(row[k] for k in p) for row in other) for p in permutations(range(3)))
    assert compare(result(*rows), result(*(tuple(row) for row in other)), ordered=False).equal == truth


@pytest.mark.parametrize(
    ("sql", "ordered"),
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM t", False),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 3)", False),
        ("WITH x AS (SELECT a FROM t ORDER BY a) SELECT a FROM x", False),
        ("WITH x AS (SELECT a FROM t) SELECT a FROM x ORDER BY a LIMIT 5", True),
        ("SELECT a FROM t UNION SELECT a FROM u ORDER BY a", True),
        ("SELECT RANK() OVER (ORDER BY a) FROM t", False),
        ("(SELECT a FROM t ORDER BY a)", True),
        ("SELECT STRING_AGG(a, ',' ORDER BY a) FROM t", False),
    ],
)
def test_is_ordered_looks_at_the_outermost_query(sql: str, ordered: bool) -> None:
    assert is_ordered(sqlglot.parse_one(sql, read="duckdb")) is ordered
