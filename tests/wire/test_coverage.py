"""The last of the wire suite: everything that is served was asked for, with every error that it declares."""

from __future__ import annotations

from tests.wire import coverage
from tests.wire.record import SEEN


def test_every_operation_and_every_error_was_exercised_or_has_its_reason() -> None:
    assert coverage.missing(SEEN) == []


def test_nothing_has_happened_that_is_said_not_to() -> None:
    assert coverage.surprising(SEEN) == []
    assert coverage.superfluous(SEEN) == []


def test_the_documentation_says_what_was_seen() -> None:
    assert coverage.DOCUMENT.read_text(encoding="utf-8") == coverage.render(SEEN), (
        "python -m tests.wire.coverage > docs/reference/wire.md"
    )
