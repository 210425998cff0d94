"""An answer that can't be right gives way to the most probable one that can.

A small model sometimes names a column that the schema does not have, or writes what the engine refuses, while the
query that was meant is among the next answers it had in mind. So an answer that is not sound is asked for again by beam
search, and the most probable sound one is taken: execution-guided decoding (Wang et al. 2018, arXiv 1807.03100), but
only where the plain answer fails, which keeps streaming and costs nothing otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from sqlora.engines.base import Completion, Sampling


class Batching(Protocol):
    """The part of `Backend` that is needed here."""

    def converse_batch(
        self, deployment: str, records: Sequence[Mapping[str, Any]], sampling: Sampling, /, *, caller: str
    ) -> list[Completion]:
        """Answers to all, in the order of the records."""


def revise(
    backend: Batching,
    deployment: str,
    records: Sequence[Mapping[str, Any]],
    completions: Sequence[Completion],
    sound: Callable[[int, str], bool],
    sampling: Sampling,
    beams: int,
    *,
    caller: str = "local",
) -> list[Completion]:
    """The completions, those replaced that are not ``sound`` (place, text) and for which a sound one is found.

    A replaced completion has the first answer's text as its only alternative, and the first answer's token counts:
    what a plain call costs. The usage on the books has the tokens of all beams. ``beams`` below 2 changes nothing.
    """
    revised = list(completions)
    wrong = [place for place, first in enumerate(completions) if not sound(place, first.text)] if beams > 1 else []
    if not wrong:
        return revised
    asked = [records[place] for place in wrong]
    found = backend.converse_batch(deployment, asked, replace(sampling, beams=beams), caller=caller)
    for place, other in zip(wrong, found, strict=True):
        first = completions[place]
        texts = (text for text in (other.text, *other.alternatives) if text != first.text)
        if (better := next((text for text in texts if sound(place, text)), None)) is not None:
            seconds = first.seconds + other.seconds
            revised[place] = replace(first, text=better, seconds=seconds, alternatives=(first.text,))
    return revised
