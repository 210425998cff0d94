"""What a value of a result means, whatever type the engine gave it; and columns of such values, compared."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from decimal import Decimal
from typing import Any

# (kind, value): kind sorts before value, so that cells of all kinds can be sorted together.
# number: int, Decimal or float; moment: naive datetime in UTC; other kinds: text.
Cell = tuple[str, Any]

ABSOLUTE = 1e-9  # differences that are always forgiven between floats
DECIMAL_TOLERANCE = 1e-12  # decimals are exact: only the last digits of a division may differ

ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?)?")


def meaning(value: Any) -> Cell:
    """The value as a cell. Numbers inside lists and structs are taken to six significant digits."""
    match value:
        case None:
            return "null", 0
        case bool():
            return "number", int(value)
        case int():
            return "number", value
        case float() | Decimal():
            if math.isnan(value):
                return "nan", 0
            return "number", float(value) if math.isinf(value) else value
        case str():
            return _text(value)
        case dt.datetime():
            return "moment", _naive(value)
        case dt.date():
            return "moment", dt.datetime(value.year, value.month, value.day)
        case dt.time():
            return "time", value.isoformat()
        case dt.timedelta():
            return "duration", value // dt.timedelta(microseconds=1)
        case bytes() | bytearray() | memoryview():
            return "bytes", bytes(value).hex()
        case list() | tuple() | dict():
            return "nested", repr(_nested(value))
        case _:
            if hasattr(value, "item"):  # a numpy scalar
                return meaning(value.item())
            return "text", str(value)


def _text(value: str) -> Cell:
    if ISO.fullmatch(value):
        try:
            return "moment", _naive(dt.datetime.fromisoformat(value))
        except ValueError:  # 2025-02-30
            pass
    return "text", value


def _naive(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:  # within a day of the year 1 or 9999
        return value.replace(tzinfo=None)


def _nested(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_nested(item) for item in value]
    if isinstance(value, dict):
        return sorted(([str(key), _nested(item)] for key, item in value.items()), key=lambda item: item[0])
    kind, cell = meaning(value)
    return [kind, f"{float(cell):.6g}" if isinstance(cell, (float, Decimal)) else str(cell)]


def profile(column: list[Cell]) -> dict[str, tuple[int, Any, Any]]:
    """How many cells of each kind, the least and the greatest: what two columns must agree on, seen at a
    glance.
    """
    kinds: dict[str, list[Any]] = {}
    for kind, value in column:
        kinds.setdefault(kind, []).append(value)
    return {kind: (len(values), min(values), max(values)) for kind, values in kinds.items()}


def profiles_fit(
    left: dict[str, tuple[int, Any, Any]], right: dict[str, tuple[int, Any, Any]], tolerance: float
) -> bool:
    """Whether columns of these profiles may be equal; False is certain."""
    if {kind: found[0] for kind, found in left.items()} != {kind: found[0] for kind, found in right.items()}:
        return False
    return all(
        math.isclose(_float(a), _float(b), rel_tol=max(tolerance, DECIMAL_TOLERANCE), abs_tol=ABSOLUTE)
        if kind == "number"
        else a == b
        for kind in left
        for a, b in zip(left[kind][1:], right[kind][1:], strict=True)
    )


class ColumnPair:
    """A column of one result against a column of another.

    ``left_groups`` and ``right_groups``: a number for each row; cells that may be equal have the same
    number. Numbers are grouped by chaining neighbours within the tolerance; where a group got wider than the
    tolerance it is ``loose``, and equality in it is decided by `near`.
    """

    def __init__(self, left: list[Cell], right: list[Cell], tolerance: float) -> None:
        self.left, self.right = left, right
        numbers = [value for kind, value in (*left, *right) if kind == "number"]
        self.exact = all(isinstance(value, int) for value in numbers)
        self.relative, self.absolute = 0.0, 0.0
        if not self.exact:
            floats = any(isinstance(value, float) for value in numbers)
            self.relative = tolerance if floats else DECIMAL_TOLERANCE
            self.absolute = ABSOLUTE if floats else 0.0
        keys = sorted(set(self._keys(left)) | set(self._keys(right)))
        group: dict[Cell, int] = {}
        self.loose: set[int] = set()
        number, first = 0, 0
        for index, key in enumerate(keys):
            if index and not self._near(keys[index - 1], key):
                number, first = number + 1, index
            elif not self._near(keys[first], key):
                self.loose.add(number)
            group[key] = number
        self.left_keys, self.right_keys = self._keys(left), self._keys(right)
        self.left_groups = [group[key] for key in self.left_keys]
        self.right_groups = [group[key] for key in self.right_keys]

    def near(self, left_row: int, right_row: int) -> bool:
        """Whether the two cells are equal within the tolerance."""
        return self._near(self.left_keys[left_row], self.right_keys[right_row])

    def same_in_order(self) -> bool:
        """Whether the columns are equal row by row."""
        return all(self._near(a, b) for a, b in zip(self.left_keys, self.right_keys, strict=True))

    def same_bag(self) -> bool:
        """Whether the columns hold the same values in some order.

        Pairing the sorted values is exact: if any pairing is within a tolerance, the sorted one is.
        """
        if Counter(self.left_groups) != Counter(self.right_groups):
            return False
        if not self.loose:
            return True
        return all(self._near(a, b) for a, b in zip(sorted(self.left_keys), sorted(self.right_keys), strict=True))

    def _keys(self, cells: list[Cell]) -> list[Cell]:
        """Numbers as floats where a tolerance applies to floats: a Decimal can't be compared with every
        float.
        """
        if self.absolute == 0.0:
            return cells
        return [(kind, _float(value)) if kind == "number" else (kind, value) for kind, value in cells]

    def _near(self, a: Cell, b: Cell) -> bool:
        if a == b:
            return True
        if self.exact or a[0] != "number" or b[0] != "number":
            return False
        if self.absolute == 0.0:
            return bool(abs(a[1] - b[1]) <= Decimal(self.relative) * max(abs(a[1]), abs(b[1])))
        return math.isclose(a[1], b[1], rel_tol=self.relative, abs_tol=self.absolute)


def _float(value: int | float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
