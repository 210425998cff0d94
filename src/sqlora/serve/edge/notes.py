"""What a request turned out to be, written down by whoever finds out, read by metrics and the access log at its end.

A context variable holds one mutable note a request, so that adaptors need not hand it around: tasks and worker threads
that a request starts see the same note.
"""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Note:
    """One request. ``operation`` stays empty for what no protocol knows; no text of a request is ever kept here."""

    protocol: str = ""
    operation: str = ""
    caller: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


_NOTE: ContextVar[Note] = ContextVar("sqlora_note")


def begin() -> Note:
    """A new note for the request that this task answers."""
    made = Note()
    _NOTE.set(made)
    return made


def note() -> Note:
    """The request's note; a blank one outside a request."""
    found = _NOTE.get(None)
    return Note() if found is None else found
