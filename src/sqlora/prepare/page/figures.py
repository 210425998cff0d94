"""Numbers and small drawings of the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlora.pages.element import Html, element


def count(number: int) -> str:
    """``68,888``."""
    return f"{number:,}"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 table``, ``2 tables``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(part: float, whole: float) -> str:
    """``61 %``, ``0.4 %``, ``100 %``; a dash of nothing."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.05:
        return "< 0.1 %"
    return f"{share:.0f} %" if share >= 9.95 or share == 0 else f"{share:.1f} %"


def size(bytes_: int) -> str:
    """``1.2 MB``, in powers of 1,000."""
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if bytes_ >= least:
            return f"{bytes_ / least:.1f} {unit}"
    return f"{bytes_} B"


def bar(part: float, whole: float, kind: str = "") -> Html:
    """A horizontal bar: how much of the whole; anything at all is to be seen."""
    share = part / whole if whole else 0.0
    width = f"{max(share, 0.004 if part else 0):.2%}"
    return element("div", class_=f"bar small {kind}".strip(), style=f"--v:{width}")


def stack(parts: Mapping[str, int]) -> Html:
    """One bar, shared by several parts."""
    shown = [element("i", class_=name, style=f"flex-grow:{number}") for name, number in parts.items() if number]
    label = ", ".join(f"{number:,} {name}" for name, number in parts.items())
    return element("div", shown, class_="stack", role="img", aria_label=label)


def histogram(bars: Sequence[int], start: int, width: int, unit: str) -> Html:
    """Columns from ``start``, each ``width`` wide; 100 high and as many wide as there are."""
    highest = max(bars, default=0)
    if not highest:
        return element("p", "nothing to draw", class_="soft")
    columns = [_column(place, number, highest, start + place * width, width, unit) for place, number in enumerate(bars)]
    drawing = element(
        "svg", columns, viewBox=f"0 0 {max(len(bars), 8)} 100", preserveAspectRatio="none", role="img",
        aria_label=f"histogram of {unit}", class_="histogram",
    )  # fmt: skip
    return element("div", drawing, _scale(start, start + width * max(len(bars), 8)))


def _column(place: int, number: int, highest: int, start: int, width: int, unit: str) -> Html:
    high = 100 * number / highest if number else 0.0
    high = max(high, 1.0) if number else 0.0
    upto = f"{start:,}–{start + width - 1:,}" if width > 1 else f"{start:,}"
    shape = {"x": f"{place + 0.06:.2f}", "y": f"{100 - high:.2f}", "width": "0.88", "height": f"{high:.2f}"}
    return element("rect", element("title", f"{upto} {unit}: {number:,}"), **shape)


def _scale(start: int, end: int) -> Html:
    middle = (start + end) // 2
    return element("div", [element("span", f"{value:,}") for value in (start, middle, end)], class_="scale")


def figures(pairs: Sequence[tuple[str, Any]]) -> Html:
    """Numbers with their names under them."""
    shown = [element("div", element("dd", str(value)), element("dt", name)) for name, value in pairs]
    return element("dl", shown, class_="figures")
