"""HTML that is escaped by construction: text becomes markup only through `element`.

Model output, cells and questions are untrusted. A plain `str` is always escaped; only what `element` or `sql`
returned (`Html`) is taken as it is. Characters that a reader would not see, or that turn the text around them
(bidirectional overrides: Boucher and Anderson, "Trojan Source", 2021), are written out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import TypeAlias

_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_VOID = frozenset({"meta", "input", "br", "col"})
_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>--[^\n]*)|(?P<text>"(?:[^"]|"")*"|'(?:[^']|'')*')|(?P<name>\[[^\]\n]*\]|`[^`\n]*`)
    |(?P<number>\d+(?:\.\d+)?)|(?P<word>\w+)|(?P<sign>[<>=~!|:]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset(
    """select from where group by having order limit offset take skip join left right full inner outer cross on
    using via as and or not in is null missing between like ilike resembles exists case when then else end distinct
    union all intersect except with asc desc nulls first last over partition true false filter any""".split()  # noqa: SIM905 (words read better so)
)


class Html(str):
    """Markup that was built here, and needs no escaping."""

    __slots__ = ()


Child: TypeAlias = "str | Html | int | Iterable[Child] | None"


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """``<name attributes>children</name>``. ``class_`` is class, ``data_x`` is data-x; False and None are left out."""
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Child) -> Html:
    """Children one after the other, each escaped unless it is `Html`."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, (str, int)):
        return escape(str(children))
    return Html("".join(join(child) for child in children))


def escape(text: str) -> Html:
    """Text as markup that shows it, hidden characters written out."""
    return Html(html.escape(_HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text), quote=True))


def sql(text: str, other: str | None = None) -> Html:
    """SQL with its parts coloured; words that ``other`` does not have at that place are marked."""
    tokens = [(str(found.lastgroup), found[0]) for found in _TOKEN.finditer(text)]
    marked = set() if other is None else _only_here(tokens, other)
    return Html("".join(_token(kind, word, place in marked) for place, (kind, word) in enumerate(tokens)))


def _token(kind: str, word: str, marked: bool) -> Html:
    if kind == "space":
        return escape(word)
    if kind == "word":
        kind = "keyword" if word.lower() in _KEYWORDS else "word"
    shown = escape(word) if kind in ("word", "sign") else element("i", word, class_=kind)
    return element("mark", shown) if marked else shown


def _only_here(tokens: list[tuple[str, str]], other: str) -> set[int]:
    """Places of the tokens that are not in ``other``, by the longest common subsequences."""
    places = [place for place, (kind, _) in enumerate(tokens) if kind != "space"]
    mine = [tokens[place][1].lower() for place in places]
    theirs = [found[0].lower() for found in _TOKEN.finditer(other) if found.lastgroup != "space"]
    blocks = SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    common = {start + step for start, _, size in blocks for step in range(size)}
    return {place for number, place in enumerate(places) if number not in common}


def _attribute(key: str, value: str | int | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
