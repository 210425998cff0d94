"""Are two results the same answer?

A result is a bag of rows: order counts only when the question asked for one, duplicates always count.
Columns may come in another order (reported), their names don't matter, their number does. Values are
compared by meaning:

    1 = 1.0 = Decimal("1") = TRUE        numbers by value; within the tolerance where one side is a float
    2025-01-01 = 2025-01-01 00:00:00 = "2025-01-01"       moments, whatever type an engine returns
    NULL = NULL, NaN = NaN

Why not `set(a) == set(b)`, as in use elsewhere: it forgives missing DISTINCTs and lost duplicates, and fails
on the last digit of a float.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from sqlora.sql.cells import Cell, ColumnPair, meaning, profile, profiles_fit
from sqlora.sql.execute import ResultSet

TRIES = 20_000  # looks at partial column orders before giving up; real results need a dozen


@dataclass(frozen=True)
class Comparison:
    """``equal``; else ``reason`` says why not, for a person. ``columns_permuted``: equal in another column
    order.
    """

    equal: bool
    reason: str = ""
    columns_permuted: bool = False


def compare(expected: ResultSet, got: ResultSet, ordered: bool, tolerance: float = 1e-6) -> Comparison:
    """Compare two results; rows in the order given when ``ordered`` (see `is_ordered`), else as bags.

    ``tolerance`` is relative, for floats; an absolute difference of 1e-9 is always forgiven. Integers are
    compared exactly, decimals to 12 digits. Two results that were both cut at the row limit are equal if
    what is there is equal, and the reason says so; if only one was cut they differ.
    """
    if len(expected.columns) != len(got.columns):
        return Comparison(False, f"expected {_count(len(expected.columns), 'column')}, got {len(got.columns)}")
    if expected.truncated != got.truncated:
        which = "expected" if expected.truncated else "actual"
        return Comparison(False, f"the {which} result was cut at the row limit, the other was not")
    if len(expected.rows) != len(got.rows):
        return Comparison(False, f"expected {_count(len(expected.rows), 'row')}, got {len(got.rows)}")
    left, right = _columns(expected), _columns(got)
    found = _Arrangement(left, right, ordered, tolerance).find()
    if found is not None:
        cut = "equal as far as the row limit let see" if expected.truncated else ""
        return Comparison(True, cut, columns_permuted=found != list(range(len(left))))
    return Comparison(False, _reason(expected, got, left, right, ordered, tolerance))


def is_ordered(tree: exp.Expression) -> bool:
    """Whether the outermost query has an ORDER BY; parentheses around a query don't hide its own."""
    node: exp.Expression | None = tree
    while node is not None:
        if node.args.get("order") is not None:
            return True
        node = node.this if isinstance(node, (exp.Subquery, exp.Paren)) else None
    return False


class _Arrangement:
    """A search for an order of the right columns in which both results hold the same rows."""

    def __init__(self, left: list[list[Cell]], right: list[list[Cell]], ordered: bool, tolerance: float) -> None:
        self.left, self.right, self.ordered, self.tolerance = left, right, ordered, tolerance
        self._left_profiles = [profile(column) for column in left]
        self._right_profiles = [profile(column) for column in right]
        self._pairs: dict[tuple[int, int], ColumnPair] = {}
        self._fits: dict[tuple[int, int], bool] = {}
        self._left_tries = TRIES

    def find(self) -> list[int] | None:
        """Positions in the right result for each left column; the given order if that fits; None if none
        fits.
        """
        given = list(range(len(self.left)))
        if self.rows_match(given):
            return given
        if len(given) < 2 or not all(any(self.fits(i, j) for j in given) for i in given):
            return None
        return self._assign() if self.ordered else self._search([])

    def pair(self, i: int, j: int) -> ColumnPair:
        if (i, j) not in self._pairs:
            self._pairs[i, j] = ColumnPair(self.left[i], self.right[j], self.tolerance)
        return self._pairs[i, j]

    def fits(self, i: int, j: int) -> bool:
        """Whether the two columns hold the same values, each for itself."""
        if (i, j) not in self._fits:
            if not profiles_fit(self._left_profiles[i], self._right_profiles[j], self.tolerance):
                self._fits[i, j] = False
                return False
            pair = self.pair(i, j)
            self._fits[i, j] = pair.same_in_order() if self.ordered else pair.same_bag()
        return self._fits[i, j]

    def rows_match(self, order: list[int]) -> bool:
        """Whether the first ``len(order)`` left columns hold the same rows as those right columns."""
        if not all(self.fits(i, j) for i, j in enumerate(order)):
            return False
        if self.ordered or len(order) < 2:
            return True
        return same_rows([self.pair(i, j) for i, j in enumerate(order)])

    def _assign(self) -> list[int] | None:
        """Ordered rows: columns that fit position by position may be combined freely: a bipartite
        matching.
        """
        edges = [[j for j in range(len(self.right)) if self.fits(i, j)] for i in range(len(self.left))]
        return matching(edges, len(self.right))

    def _search(self, order: list[int]) -> list[int] | None:
        """Extend a partial order column by column; each prefix must hold the same rows already."""
        position = len(order)
        if position == len(self.left):
            return order
        tried: list[list[Cell]] = []
        for j in range(len(self.right)):
            if j in order or not self.fits(position, j) or self.right[j] in tried:
                continue  # a column equal to one that was tried leads to the same rows
            tried.append(self.right[j])
            self._left_tries -= 1
            if self._left_tries < 0:
                return None
            if self.rows_match([*order, j]):
                found = self._search([*order, j])
                if found is not None:
                    return found
        return None


def same_rows(pairs: list[ColumnPair]) -> bool:
    """Whether two bags of rows are equal; ``pairs`` are their columns, matched.

    Rows can only be equal when all their cells share a group (`ColumnPair.groups`); within a bag of such
    rows, which are few, a perfect matching by the true tolerance is looked for.
    """
    left = _by_key([pair.left_groups for pair in pairs])
    right = _by_key([pair.right_groups for pair in pairs])
    if left.keys() != right.keys() or any(len(left[key]) != len(right[key]) for key in left):
        return False
    doubtful = [key for key in left if any(n in pair.loose for n, pair in zip(key, pairs, strict=True))]
    return all(_same_within(pairs, left[key], right[key]) for key in doubtful)


def _same_within(pairs: list[ColumnPair], left: list[int], right: list[int]) -> bool:
    if len(left) == 1 or len(left) > 500:  # a crowd of near-equal rows: paired in order of their values
        left = sorted(left, key=lambda row: [pair.left_keys[row] for pair in pairs])
        right = sorted(right, key=lambda row: [pair.right_keys[row] for pair in pairs])
        return all(pair.near(a, b) for a, b in zip(left, right, strict=True) for pair in pairs)
    edges = [[j for j, b in enumerate(right) if all(pair.near(a, b) for pair in pairs)] for a in left]
    return matching(edges, len(right)) is not None


def matching(edges: list[list[int]], size: int) -> list[int] | None:
    """A perfect bipartite matching by augmenting paths: for each left index a right one of its ``edges``, or
    None.
    """
    owner: list[int | None] = [None] * size

    def augment(start: int) -> bool:
        # depth first without recursion: a crowd of 500 rows may need paths of that length
        stack: list[tuple[int, Iterator[int]]] = [(start, iter(edges[start]))]
        taken: list[int] = []
        seen: set[int] = set()
        while stack:
            for j in stack[-1][1]:
                if j in seen:
                    continue
                seen.add(j)
                taken.append(j)
                holder = owner[j]
                if holder is None:
                    for (i, _), chosen in zip(stack, taken, strict=True):
                        owner[chosen] = i
                    return True
                stack.append((holder, iter(edges[holder])))
                break
            else:
                stack.pop()
                if taken:
                    taken.pop()
        return False

    if not all(augment(i) for i in range(len(edges))):
        return None
    found = [0] * len(edges)
    for j, holder in enumerate(owner):
        if holder is not None:
            found[holder] = j
    return found


def _by_key(columns: list[list[int]]) -> dict[tuple[int, ...], list[int]]:
    rows: dict[tuple[int, ...], list[int]] = {}
    for index, key in enumerate(zip(*columns, strict=True)):
        rows.setdefault(key, []).append(index)
    return rows


def _columns(result: ResultSet) -> list[list[Cell]]:
    return [[meaning(row[index]) for row in result.rows] for index in range(len(result.columns))]


def _reason(
    expected: ResultSet,
    got: ResultSet,
    left: list[list[Cell]],
    right: list[list[Cell]],
    ordered: bool,
    tolerance: float,
) -> str:
    if ordered and _Arrangement(left, right, False, tolerance).find() is not None:
        return "the same rows in another order"
    search = _Arrangement(left, right, ordered, tolerance)
    for i, name in enumerate(expected.columns):
        if not any(search.fits(i, j) for j in range(len(right))):
            return f"no column holds the values of {name!r}{_example(expected, got, left, right, tolerance)}"
    return f"the rows differ{_example(expected, got, left, right, tolerance)}"


def _example(
    expected: ResultSet, got: ResultSet, left: list[list[Cell]], right: list[list[Cell]], tolerance: float
) -> str:
    """The first row that differs, columns as given; '' if there is none to show."""
    pairs = [ColumnPair(a, b, tolerance) for a, b in zip(left, right, strict=True)]
    for row in range(len(expected.rows)):
        if not all(pair.near(row, row) for pair in pairs):
            return f"; row {row + 1}: expected {_short(expected.rows[row])}, got {_short(got.rows[row])}"
    return ""


def _short(row: tuple[Any, ...]) -> str:
    text = "(" + ", ".join("NULL" if cell is None else str(cell) for cell in row) + ")"
    return text if len(text) <= 120 else text[:119] + "…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
