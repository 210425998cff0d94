"""What the data can teach: SQL constructs, the dialect's own words, tables and columns; and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlora.pages.element import Html, element, join
from sqlora.prepare.page.figures import bar, count, percent, plural

Card = Mapping[str, Any]

TABLES = 24  # with a bar each
NAMES = 40  # of what is never asked about


def constructs(card: Card) -> Html:
    """A bar for each construct: how many of the training examples have it."""
    groups: Mapping[str, Mapping[str, Mapping[str, int]]] = card.get("coverage", {}).get("constructs", {})
    taught = card.get("splits", {}).get("train", 0)
    if not any(each.get("train") for group in groups.values() for each in group.values()):
        return join("")
    missing = sum(not each["train"] for group in groups.values() for each in group.values())
    total = sum(map(len, groups.values()))
    cards = [_group(group, names, taught) for group, names in groups.items()]
    note = f"{total - missing} of {total} constructs are taught; share of the training examples that have each"
    if base := card.get("base"):
        note += f", in {base}'s terms"
    return element(
        "section", element("h2", "SQL ", element("small", note)), element("div", cards, class_="columns groups")
    )


def _group(group: str, names: Mapping[str, Mapping[str, int]], taught: int) -> Html:
    rows = [_construct(name, each, taught) for name, each in names.items()]
    return element("div", element("h3", group), rows, class_="card")


def _construct(name: str, counts: Mapping[str, int], taught: int) -> Html:
    number, tested = counts["train"], counts["test"]
    kind = "row" if number else "row never tested" if tested else "row never"
    said = percent(number, taught) if number else "test only" if tested else "never"
    title = ", ".join(f"{count(found)} {split}" for split, found in counts.items())
    return element(
        "div", element("span", name, class_="name"), bar(number, taught), element("span", said, class_="n"),
        class_=kind, title=title,
    )  # fmt: skip


def dialect(card: Card) -> Html:
    """The house dialect's own words, and how many training examples use each."""
    kinds: Mapping[str, Mapping[str, int]] = card.get("coverage", {}).get("dialect", {})
    if not kinds:
        return join("")
    every = [number for words in kinds.values() for number in words.values()]
    note = f"{sum(map(bool, every))} of {len(every)} words of its own are taught; training examples that have each"
    rows = [
        element("div", element("h3", kind), element("p", [_chip(word, number) for word, number in words.items()]))
        for kind, words in kinds.items()
    ]
    return element(
        "section", element("h2", f"{card.get('dialect')} ", element("small", note)),
        element("div", rows, class_="card words"),
    )  # fmt: skip


def _chip(word: str, number: int) -> Html:
    return element(
        "span", element("code", word), " ", element("b", count(number) if number else "never"),
        class_="chip" if number else "chip never",
    )  # fmt: skip


def schema(card: Card) -> Html:
    """Tables by how often they are asked about, and what is never asked about."""
    found = card.get("coverage", {}).get("schema")
    if not found or not found["tables"]:
        return join("")
    uses: Mapping[str, int] = found["examples_of_table"]
    most = max(uses.values(), default=0)
    shown = list(uses.items())[:TABLES]
    rows = [
        element("div", element("span", name, class_="name"), bar(number, most),
                element("span", count(number), class_="n"), class_="row")
        for name, number in shown
    ]  # fmt: skip
    if len(uses) > len(shown):
        rows.append(element("p", f"and {plural(len(uses) - len(shown), 'table')} more", class_="soft small"))
    note = (
        f"{count(found['tables_used'])} of {plural(found['tables'], 'table')} and {count(found['columns_used'])} of "
        f"{plural(found['columns'], 'column')} are asked about in training"
    )
    never = [
        _names("Tables never asked about", found["unused_tables"], found["tables"] - found["tables_used"]),
        _names("Columns never asked about, of those tables that are", found["unused_columns"], None),
    ]
    return element(
        "section", element("h2", "Schema ", element("small", note)),
        element("div", element("div", element("h3", "training examples by table"), rows, class_="card"),
                element("div", never, class_="card") if any(never) else None, class_="columns"),
    )  # fmt: skip


def _names(title: str, names: list[str], total: int | None) -> Html:
    if not names:
        return join("")
    more = (total or len(names)) - len(names[:NAMES])
    chips = [element("span", element("code", name), class_="chip never") for name in names[:NAMES]]
    rest = element("span", f"and {count(more)} more", class_="soft small") if more > 0 else None
    return element("div", element("h3", title), element("p", chips, rest), class_="words")
