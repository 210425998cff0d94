"""What sqlglot logs: text that it keeps without understanding it, and what a dialect has no way to say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sqlglot_log() -> Iterator[list[str]]:
    """Collects sqlglot's warnings, so that they are not on the terminal; of nested ones the innermost does."""
    said: list[str] = []

    def hear(record: logging.LogRecord) -> bool:
        said.append(record.getMessage())
        return False

    logger = logging.getLogger("sqlglot")
    logger.filters.insert(0, hear)
    try:
        yield said
    finally:
        logger.removeFilter(hear)
