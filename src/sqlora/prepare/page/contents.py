"""What the dataset is made of: its size, examples, lengths, what was left out, where it comes from, what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlora.pages.element import Html, element, join, sql
from sqlora.prepare.examples import SPLITS
from sqlora.prepare.page.figures import bar, count, figures, histogram, percent, plural, size, stack

Card = Mapping[str, Any]

_STAYS = {
    "structure": "Split by query structure: no structure in the test was taught, nor a question nearly like one in it.",
    "database": "Split by database: no database or query in the test was taught, nor a question nearly like one in it.",
    "time": "Split by time: the test is the newest; no query in it was taught, nor a question nearly like one in it.",
    "given": "Split as the sources say: no query in the test was taught, nor a question nearly like one in it.",
}
_BACKENDS = {"bedrock": "Amazon Bedrock", "sagemaker": "SageMaker AI", "local": "this machine"}
_LENGTHS = {"question": ("Questions", "characters"), "sql": ("Queries", "characters"),
            "tokens": ("Whole examples, with the schema", "tokens, about")}  # fmt: skip


def header(card: Card) -> Html:
    """Whose it is, and which."""
    facts = {
        "dialect": _dialect(card),
        "dataset": card.get("id"),
        "made": str(card.get("created", "")).replace("T", " ").replace("+00:00", " UTC"),
        "schema": card.get("schema"),
        "seed": card.get("seed"),
    }
    given = {key: str(value) for key, value in facts.items() if value not in (None, "")}
    shown = [element("span", f"{key} ", element("b", value)) for key, value in given.items()]
    return element(
        "header", element("h1", f"{card.get('project') or 'Dataset'}: what the model is taught"),
        element("p", shown, class_="facts"),
    )  # fmt: skip


def _dialect(card: Card) -> str:
    name, base = card.get("dialect"), card.get("base")
    return f"{name} over {base}" if base and base != name else str(name or "")


def headline(card: Card) -> Html:
    """How much there is, and how it is split."""
    splits: dict[str, int] = {split: card.get("splits", {}).get(split, 0) for split in SPLITS}
    kept, seen = sum(splits.values()), _seen(card)
    numbers: list[tuple[str, Any]] = [
        ("examples", count(kept)),
        ("query structures", count(sum(card.get("templates", {}).values()))),
    ]
    if seen:
        numbers.append((f"of {count(seen)} were kept", percent(kept, seen)))
    if card.get("schemas", 1) > 1:
        numbers.append(("schemas", count(card["schemas"])))
    if "queries" in card:
        numbers.append(("queries stand behind them", count(card["queries"])))
    legend = [
        element("span", element("i", class_=split), f"{split} ", element("b", count(number)),
                element("small", f" {percent(number, kept)}"))
        for split, number in splits.items()
    ]  # fmt: skip
    return element(
        "section", figures(numbers), stack(splits), element("p", legend, class_="legend"),
        element("p", _STAYS.get(str(card.get("split")), ""), class_="soft"), _notes(card), class_="card headline",
    )  # fmt: skip


def _seen(card: Card) -> int:
    return sum(source.get("seen", 0) for source in card.get("sources", {}).values())


def _notes(card: Card) -> Html:
    """What to look at before training."""
    notes = [f"{note[:1].upper()}{note[1:]}." for note in card.get("notes", ())]
    bedrock = card.get("bedrock", {})
    if bedrock and not bedrock.get("fits"):
        notes.append(
            f"Bedrock takes {count(bedrock['fewest'])} to {count(bedrock['most'])} training and validation records; "
            f"these are {count(bedrock['records'])}. SageMaker and this machine take them."
        )
    if untaught := card.get("coverage", {}).get("untaught"):
        notes.append(f"Asked in the test, but never taught: {', '.join(untaught)}.")
    pruning = card.get("pruning")
    if pruning and pruning["whole"] < pruning["examples"]:
        missing = pruning["examples"] - pruning["whole"]
        notes.append(
            f"The schema was cut to what each question seems to need. {plural(missing, 'example')} of "
            f"{count(pruning['examples'])} lack a table or column that the query needs; on average "
            f"{pruning['tables']:.1%} of the tables and {pruning['columns']:.1%} of the columns are there. "
            "More schema_tokens keep more."
        )
    if same := card.get("look_alikes", {}).get("count"):
        notes.append(f"{plural(same, 'pair')} of nearly equal questions with different queries: see Look-alikes.")
    return join([element("p", note, class_="note") for note in notes])


def examples(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> Html:
    """Some of each split, to get a feeling for them."""
    columns = [
        element("div", element("h3", element("i", class_=split), split), [_pair(each) for each in rows])
        for split, rows in shown.items()
        if rows
    ]
    if not columns:
        return join("")
    return element("section", element("h2", "Examples"), element("div", columns, class_="columns examples"))


def _pair(example: Mapping[str, Any]) -> Html:
    return element(
        "figure", element("figcaption", example["question"]), element("pre", sql(example["sql"])), class_="card example"
    )


def lengths(card: Card) -> Html:
    """Histograms."""
    drawn = [
        element(
            "div", element("h3", title),
            histogram(found["bars"], found["start"], found["width"], unit.partition(",")[0]),
            figures([("median", count(found["median"])), ("95 % up to", count(found["p95"])),
                     ("longest", count(found["longest"]))]),
            element("p", unit, class_="soft unit"), class_="card",
        )
        for name, (title, unit) in _LENGTHS.items()
        if (found := card.get("lengths", {}).get(name)) and found["bars"]
    ]  # fmt: skip
    return element("section", element("h2", "Lengths"), element("div", drawn, class_="columns")) if drawn else join("")


def rejected(card: Card) -> Html:
    """What was left out: how many for each reason, what to do, and some of them."""
    reasons: Mapping[str, int] = card.get("rejected", {})
    seen = _seen(card)
    if not reasons:
        return join("")
    most = max(reasons.values())
    shown = card.get("rejected_examples", {})
    rows = [
        element(
            "details",
            element(
                "summary", element("span", reason, class_="name"), bar(number, most, "bad"),
                element("b", count(number)), element("small", percent(number, seen)),
            ),
            element("div", [_left_out(each) for each in shown.get(reason, ())], class_="body"),
        )
        for reason, number in reasons.items()
    ]  # fmt: skip
    total = f"{count(sum(reasons.values()))} of {count(seen)}; all of them, with reason and line, are in rejects.jsonl"
    return element(
        "section", element("h2", "Left out ", element("small", total)), element("div", rows, class_="card rejected")
    )


def _left_out(each: Mapping[str, str] | str) -> Html:
    if isinstance(each, str):
        return element("p", each)
    where = element("span", each["origin"], class_="badge") if each.get("origin") else None
    advice = element("p", "→ ", each["suggestion"], class_="advice") if each.get("suggestion") else None
    return element(
        "div", element("p", each.get("question", ""), " ", where, class_="asked"),
        element("pre", sql(each["sql"])) if each.get("sql") else None,
        element("p", each["detail"], class_="why") if each.get("detail") else None, advice, class_="left-out",
    )  # fmt: skip


def look_alikes(card: Card) -> Html:
    """Pairs of which one may be wrong."""
    found = card.get("look_alikes", {})
    if not found.get("count"):
        return join("")
    pairs = [_sides(each) for each in found["shown"]]
    note = f"{plural(found['count'], 'pair')}: nearly the same question, another query. One of the two may be wrong."
    return element(
        "section", element("h2", "Look-alikes"), element("p", note, class_="soft"),
        element("details", element("summary", f"show {count(len(pairs))}"), pairs, class_="plain"),
    )  # fmt: skip


def _sides(each: Mapping[str, str]) -> Html:
    """The two, and where their queries differ."""
    return element(
        "div",
        element("div", element("p", each["earlier_question"]), element("pre", sql(each["earlier_sql"], each["sql"]))),
        element("div", element("p", each["question"]), element("pre", sql(each["sql"], each["earlier_sql"]))),
        class_="card sides",
    )


def sources(card: Card) -> Html:
    """Where the examples come from."""
    rows = [
        element(
            "tr", element("th", name), _numbers(found, ("seen", "kept")),
            element("td", bar(found.get("kept", 0), found.get("seen", 0))), _numbers(found, SPLITS),
        )
        for name, found in card.get("sources", {}).items()
    ]  # fmt: skip
    if not rows:
        return join("")
    names = [element("th", name, class_="n") for name in ("seen", "kept", *SPLITS)]
    head = element("tr", element("th", "source"), names[:2], element("th", "", class_="wider"), names[2:])
    table = element("table", element("thead", head), element("tbody", rows))
    return element("section", element("h2", "Sources"), element("div", table, class_="card wide"))


def _numbers(found: Mapping[str, int], keys: Sequence[str]) -> list[Html]:
    return [element("td", count(found.get(key, 0)), class_="n") for key in keys]


def cost(card: Card) -> Html:
    """What training on it costs on each backend."""
    found = card.get("cost")
    if not found:
        return join("")
    rows = [
        element(
            "tr",
            element("th", _BACKENDS.get(name, name)),
            element("td", element("b", option["shown"]), class_="n"),
            element("td", [element("p", line, class_="soft") for line in _bill(option)]),
        )
        for name, option in found["backends"].items()
    ]
    prices = found["prices"]
    note = (
        f"About {count(found['tokens'])} training tokens. Prices of {prices['region']} in {prices['currency']}, "
        f"checked {prices['checked']}; sqlora cost --refresh asks for today's, and sqlora train shows the bill before "
        "it begins."
    )
    return element(
        "section", element("h2", "What training on it costs"),
        element("div", element("table", element("tbody", rows), class_="cost"), class_="card wide"),
        element("p", note, class_="soft small"),
    )  # fmt: skip


def _bill(option: Mapping[str, Any]) -> list[str]:
    lines = [f"{line['name']}: {line['formula']}" for line in option["lines"]]
    return [*lines, option["note"]] if option["note"] else lines


def files(card: Card) -> Html:
    """The files and their hashes."""
    rows = [
        element(
            "tr", element("th", name), element("td", count(found["lines"]), class_="n"),
            element("td", size(found["bytes"]), class_="n"), element("td", element("code", found["sha256"])),
        )
        for name, found in card.get("files", {}).items()
    ]  # fmt: skip
    if not rows:
        return join("")
    head = element("tr", element("th", "file"), element("th", "lines", class_="n"), element("th", "size", class_="n"),
                   element("th", "SHA-256"))  # fmt: skip
    table = element("table", element("thead", head), element("tbody", rows))
    return element("section", element("h2", "Files"), element("div", table, class_="card wide"))
