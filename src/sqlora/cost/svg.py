"""A `Chart` as one SVG file: it needs no script, no font and no network, and looks the same on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as xml

from sqlora.cost.chart import Chart
from sqlora.cost.model import dollars

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 76, 28, 58, 132  # margins; the legend is below
STEPS = 200
COLORS = ("#0b6e99", "#c2410c", "#d99a00", "#2e7d32", "#6d4bb0", "#9d174d", "#475569", "#0f766e")
INK, QUIET, GRID = "#1f2933", "#5f6c7b", "#e4e8ec"
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
LEGEND_ROWS, LEGEND_COLUMN = 3, 310


def svg(found: Chart, subtitle: str) -> str:
    """The chart as the text of a file; ``subtitle`` says of what workload and prices."""
    root = xml.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "width": str(WIDTH),
            "height": str(HEIGHT), "role": "img", "font-family": FONT, "font-size": "13",
            "aria-label": "Dollars a month over questions a month",
        },
    )  # fmt: skip
    _add(root, "rect", width=WIDTH, height=HEIGHT, fill="#ffffff")
    _text(root, LEFT, 26, "What a month of questions costs", size=17, weight=600)
    _text(root, LEFT, 45, subtitle, color=QUIET, size=12)
    _axes(root, found)
    _workload(root, found)
    # On demand last, over the others.
    for series, color in reversed(list(zip(found.series, COLORS, strict=False))):
        points = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in found.points(series, STEPS))
        _add(root, "polyline", points=points, fill="none", stroke=color, stroke_width=2.5, stroke_linejoin="round")
    _crossings(root, found)
    _legend(root, found)
    xml.indent(root)
    return xml.tostring(root, encoding="unicode") + "\n"


def _axes(root: xml.Element, found: Chart) -> None:
    for place, label in found.x.ticks:
        _line(root, _x(place), _y(0), _x(place), _y(1), GRID)
        _text(root, _x(place), _y(0) + 20, label, color=QUIET, anchor="middle")
    for place, label in found.y.ticks:
        _line(root, _x(0), _y(place), _x(1), _y(place), GRID)
        _text(root, _x(0) - 10, _y(place) + 4, f"${label}", color=QUIET, anchor="end")
    _text(root, _x(0.5), _y(0) + 42, "questions a month", color=QUIET, anchor="middle")
    _text(root, LEFT - 58, _y(0.5), "dollars a month", color=QUIET, anchor="middle", turned=True)


def _workload(root: xml.Element, found: Chart) -> None:
    place, amount = found.x.place(found.queries), found.series[0].curve.at(found.queries)
    _line(root, _x(place), _y(0), _x(place), _y(1), QUIET, dashed=True)
    text = f"{found.queries:,} questions: {dollars(amount)} on demand"
    _text(root, _x(place) + (6 if place < 0.6 else -6), _y(1) + 14, text, anchor="start" if place < 0.6 else "end")


def _crossings(root: xml.Element, found: Chart) -> None:
    for queries, amount in found.crossings():
        x, y = _x(found.x.place(queries)), _y(found.y.place(amount))
        _add(root, "circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=4.5, fill="#ffffff", stroke=INK, stroke_width=1.8)
        _text(root, x + 9, y + 17, f"{queries:,}", size=12)


def _legend(root: xml.Element, found: Chart) -> None:
    """Column by column below the axis; what can answer only so many says how many."""
    for place, (series, color) in enumerate(zip(found.series, COLORS, strict=False)):
        column, row = divmod(place, LEGEND_ROWS)
        x, y = LEFT + column * LEGEND_COLUMN, HEIGHT - 62 + row * 21
        _line(root, x, y, x + 24, y, color, width=2.5)
        most = "" if series.curve.most is None else f", up to {series.curve.most:,} a month"
        _text(root, x + 32, y + 4, f"{series.name}{most}", size=12)


def _x(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT - RIGHT)


def _y(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def _add(root: xml.Element, tag: str, **attributes: object) -> xml.Element:
    return xml.SubElement(root, tag, {name.replace("_", "-"): str(value) for name, value in attributes.items()})


def _line(
    root: xml.Element, x1: float, y1: float, x2: float, y2: float, color: str, *, width: float = 1, dashed: bool = False
) -> None:
    ends: Iterable[tuple[str, float]] = (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2))
    more = {"stroke_dasharray": "4 4"} if dashed else {}
    _add(root, "line", **{name: f"{value:.1f}" for name, value in ends}, stroke=color, stroke_width=width, **more)


def _text(
    root: xml.Element, x: float, y: float, text: str, *,
    color: str = INK, size: int = 13, weight: int = 400, anchor: str = "start", turned: bool = False,
) -> None:  # fmt: skip
    more = {"transform": f"rotate(-90 {x:.1f} {y:.1f})"} if turned else {}
    style = {"fill": color, "font_size": size, "font_weight": weight, "text_anchor": anchor}
    _add(root, "text", x=f"{x:.1f}", y=f"{y:.1f}", **style, **more).text = text
