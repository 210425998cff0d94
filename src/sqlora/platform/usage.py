"""Usage: one row a request, written before its answer ends, and kept when the deployment is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlora.platform.names import now

if TYPE_CHECKING:
    from sqlora.platform.state import State

Group = Literal["deployment", "caller", "day", "backend"]
_COLUMNS: dict[Group, str] = {
    "deployment": "deployment", "caller": "caller", "day": "substr(at, 1, 10)", "backend": "backend",
}  # fmt: skip


@dataclass(frozen=True)
class UsageRow:
    """One request: tokens counted by the model's own tokenizer, times in seconds.

    ``deployment`` is its name ("base" for the untuned model); ``cached_tokens`` of the input were not computed
    anew. ``request_id`` is what the server called the request in its answer; one that a command asked in its own
    process has none. ``backend`` is what answered: only a cloud's answers are billed. ``id`` and ``at`` are given by
    `Usage.record`.
    """

    deployment: str
    caller: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    seconds: float
    first_token_seconds: float | None
    request_id: str | None = None
    at: str = ""
    id: int = 0
    backend: str = "local"


@dataclass(frozen=True)
class UsageSummary:
    """Sums over the requests of one group, the first at ``first_at``; a column that was not grouped by is None."""

    deployment: str | None
    caller: str | None
    day: str | None
    backend: str | None
    first_at: str
    requests: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    seconds: float


class Usage:
    """The repository of usage. There is no update and no delete: it is a bill."""

    def __init__(self, state: State) -> None:
        self._state = state

    def record(self, rows: Iterable[UsageRow]) -> None:
        """Write the rows, all or none; when this returns they are on disk. A request cannot be written twice."""
        with self._state.transaction():
            for row in rows:
                self._state.execute(
                    """INSERT INTO usage (at, deployment, caller, input_tokens, output_tokens, cached_tokens, seconds,
                                          first_token_seconds, request_id, backend)
                       VALUES (:at, :deployment, :caller, :input_tokens, :output_tokens, :cached_tokens, :seconds,
                               :first_token_seconds, :request_id, :backend)""",
                    {**vars(row), "at": row.at or now()},
                )

    def summary(
        self,
        by: Sequence[Group] = ("deployment",),
        *,
        deployment: str | None = None,
        caller: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[UsageSummary]:
        """Sums by deployment, caller, backend and/or day (UTC), ordered by them.

        ``()`` sums everything up: at most one row.
        ``since`` is included, ``until`` is not; both are ISO-8601 text such as ``2026-11-01``.
        """
        groups = ", ".join(_COLUMNS[group] for group in by)
        selected = ", ".join(f"{_COLUMNS[g] if g in by else 'NULL'} AS {g}" for g in _COLUMNS)
        rows = self._state.rows(
            f"""SELECT {selected}, min(at) AS first_at, count(*) AS requests, sum(input_tokens) AS input_tokens,
                    sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens, sum(seconds) AS seconds
                FROM usage
                WHERE (:deployment IS NULL OR deployment = :deployment) AND (:caller IS NULL OR caller = :caller)
                    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
                {f"GROUP BY {groups} ORDER BY {groups}" if groups else "HAVING count(*) > 0"}""",
            {"deployment": deployment, "caller": caller, "since": since, "until": until},
        )
        return [_summary(row) for row in rows]

    def list(self, *, deployment: str | None = None, since: str | None = None, limit: int = 100) -> list[UsageRow]:
        """The last ``limit`` requests, newest first; ``since`` is ISO-8601 text, compared as text."""
        rows = self._state.rows(
            """SELECT * FROM usage WHERE (:deployment IS NULL OR deployment = :deployment)
                   AND (:since IS NULL OR at >= :since) ORDER BY id DESC LIMIT :limit""",
            {"deployment": deployment, "since": since, "limit": limit},
        )
        return [UsageRow(**row) for row in rows]


def _summary(row: dict[str, Any]) -> UsageSummary:
    return UsageSummary(**row)
