"""The texts of a query, however they are written: N'…', $$…$$, 'a' || 'b' are made plain, so that each is looked at."""

from __future__ import annotations

from sqlglot import exp

_PLAIN = (exp.National, exp.RawString, exp.UnicodeString, exp.Heredoc)
_BYTES = (exp.ByteString, exp.HexString, exp.BitString)
TEXTS = (*_PLAIN, *_BYTES)  # texts that are no exp.Literal
_JOINED = (exp.DPipe, exp.Concat, exp.Add)


def plain_texts(tree: exp.Expr) -> exp.Expr | None:
    """Make literals of all texts in ``tree`` and of texts that are put together; the first that can't be made one."""
    for node in list(tree.find_all(*TEXTS)):
        escaped = isinstance(node, exp.UnicodeString) and "\\" in node.name
        # E'…' is a text, but b'…' and x'…' are bytes in whatever encoding.
        if escaped or isinstance(node, exp.HexString | exp.BitString) or node.args.get("is_bytes"):
            return node
        node.replace(exp.Literal.string(node.name))
    for node in reversed(list(tree.find_all(*_JOINED))):  # the inner ones first
        parts = node.expressions if isinstance(node, exp.Concat) else [node.this, node.args["expression"]]
        texts = [part.unnest() for part in parts]
        if texts and all(isinstance(text, exp.Literal) and text.is_string for text in texts):
            node.replace(exp.Literal.string("".join(text.name for text in texts)))
    return None


def drop_remarks(tree: exp.Expr) -> None:
    """Drop (in place) what is no part of a query's meaning: comments, hints, and options such as a label.

    They say who asked, or speak to whoever reads the query.
    """
    for node in list(tree.walk()):
        node.comments = None
        if isinstance(node, exp.Hint):
            node.pop()
        if isinstance(node, exp.Query):
            node.set("options", None)
            node.set("settings", None)
