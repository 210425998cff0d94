"""Questions for queries: worded by rules (`describe`), or by a model behind an endpoint (`writer`), where one is set.

The endpoint is off unless ``[prepare.writer]`` names one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlora.prepare.examples import Candidate, Rejection

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.settings import SourceSection

__all__ = ["with_written_questions"]


def with_written_questions(
    candidates: Iterator[Candidate | Rejection], project: Project, source: SourceSection
) -> Iterator[Candidate | Rejection]:
    """The source's candidates, and for each what the model of ``[prepare.writer]`` words of its query.

    A question that was made by rules gives way to the written ones; one that somebody wrote stays and they follow it.
    The test is left as it is. Raises ConfigError, AccountError or ServiceError when the endpoint can't be asked.
    """
    section = project.prepare.writer
    if section is None or source.kind not in section.kinds or source.split == "test":
        return candidates
    from sqlora.prepare.questions.writer import write_questions

    return write_questions(candidates, project, section)
