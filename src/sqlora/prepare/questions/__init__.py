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

__all__ = ["BY_MODEL", "BY_RULES", "with_written_questions", "writes_questions"]

BY_RULES, BY_MODEL = "question by rules", "question by model"  # tags


def writes_questions(project: Project, source: SourceSection) -> bool:
    """Whether a model words questions of this source. Never those of the test, which people should have asked."""
    section = project.prepare.writer
    return section is not None and source.kind in section.kinds and source.split != "test"


def with_written_questions(
    candidates: Iterator[Candidate | Rejection], project: Project, source: SourceSection
) -> Iterator[Candidate | Rejection]:
    """The source's candidates, and for each what the model of ``[prepare.writer]`` words of its query.

    A question that was made by rules gives way to the written ones; one that somebody wrote stays and they follow it.
    The test is left as it is. Raises ConfigError, AccountError or ServiceError when the endpoint can't be asked.
    """
    section = project.prepare.writer
    if section is None or not writes_questions(project, source):
        return candidates
    from sqlora.prepare.questions.writer import write_questions

    return write_questions(candidates, project, section)
