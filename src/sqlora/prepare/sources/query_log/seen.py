"""What a log says of one statement."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """A statement as it stands in a log, which says that it ran ``calls`` times, the first at ``time`` ('' if unknown).

    ``parameters`` are the values of $1, $2 … as a log gives them beside the statement.
    """

    sql: str
    place: str  # "line 3"
    calls: int = 1
    time: str = ""
    database: str = ""
    parameters: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row of a log that has no statement to learn from: why, as a reason that is counted and in words."""

    reason: str
    detail: str
    place: str
    suggestion: str = ""


def moment(text: str) -> str:
    """A log's time as ISO 8601 to the second, without its zone; '' where it is none."""
    try:
        return datetime.datetime.fromisoformat(text[:19].replace(" ", "T")).isoformat()
    except ValueError:
        return ""
