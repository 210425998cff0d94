"""A whole page: head, policy, style, body."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from sqlora.pages.element import Html, element


def document(title: str, main: Html, style: str, script: str = "") -> str:
    """The page of that title. ``style`` and ``script`` are the page's own; they come after what all pages share."""
    allowed = "'none'"
    if script:
        allowed = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(read_asset("sqlora.pages", "base.css") + style)),
    )
    body = element("body", main, element("script", Html(script)) if script else None)
    return "<!doctype html>\n" + element("html", head, body, lang="en")


def read_asset(package: str, name: str) -> str:
    """A file beside a package's code."""
    return (resources.files(package) / name).read_text(encoding="utf-8")
