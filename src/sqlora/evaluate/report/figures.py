"""Numbers as people read them."""

from __future__ import annotations

from sqlora.evaluate.report.contents import Share, Spread
from sqlora.pages.element import Html, element


def percent(value: float | None) -> str:
    """``76.7 %``; a dash for what was not measured."""
    return "–" if value is None else f"{value:.1%}".replace("%", " %")


def points(value: float) -> str:
    """``+68.7``: a difference of shares, in percentage points."""
    return f"{value * 100:+.1f}".replace("-", "−")


def whole_interval(share: Share) -> str:
    """``71.5–81.7 %``."""
    if share.low is None or share.high is None:
        return ""
    return f"{share.low * 100:.1f}–{share.high * 100:.1f} %"


def p_value(p: float) -> str:
    """``p = 0.039``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def seconds(spread: Spread | None) -> str:
    """The median: ``380 ms``, ``1.24 s``."""
    return "–" if spread is None else duration(spread.median)


def duration(value: float) -> str:
    """Milliseconds below one second."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def bar(share: Share, *, focus: bool = False, small: bool = False) -> Html:
    """The share as a bar with its interval as a line over it."""
    if share.value is None or share.low is None or share.high is None:
        return element("div", class_="bar small" if small else "bar", style="--v:0%;--l:0%;--h:0%")
    classes = ["bar", *(["focus"] if focus else []), *(["small"] if small else [])]
    style = f"--v:{share.value:.2%};--l:{share.low:.2%};--h:{share.high:.2%}"
    return element("div", class_=" ".join(classes), style=style, role="img", aria_label=percent(share.value))
