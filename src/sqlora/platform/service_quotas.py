"""Service quotas: how many training jobs an account may have under way, and the requests to raise that.

New accounts at AWS commonly have a quota of 0 for the instances that Nova trains on, and a request is decided by
people. Here one machine is there, so 1 applies from the start; a request is decided at once: approved up to
`MOST_INSTANCES`, since jobs wait for each other anyway, denied above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlora.errors import ConfigError, NotFoundError
from sqlora.platform.names import new_id, now

if TYPE_CHECKING:
    from sqlora.platform.state import State

MOST_INSTANCES = 100

RequestStatus = Literal["APPROVED", "DENIED"]


@dataclass(frozen=True)
class InstanceQuota:
    """A limit on the instances of one type in unfinished training jobs. ``default`` is AWS's for a new account."""

    code: str
    instance_type: str
    default: float
    initial: float

    @property
    def name(self) -> str:
        """As AWS calls it."""
        return f"{self.instance_type} for training job usage"


QUOTAS: dict[str, InstanceQuota] = {
    quota.code: quota for quota in (InstanceQuota("L-6BC98A55", "ml.g5.48xlarge", default=0, initial=1),)
}


@dataclass(frozen=True)
class QuotaRequest:
    """A request to raise a quota to ``desired``, decided when it was made."""

    id: str
    code: str
    desired: float
    status: RequestStatus
    requester: str
    created_at: str


class ServiceQuotas:
    """The repository of requests, and with them of the values that apply."""

    def __init__(self, state: State) -> None:
        self._state = state

    def quota(self, code: str) -> InstanceQuota:
        """By its code; NotFoundError."""
        if code not in QUOTAS:
            raise NotFoundError(f"no quota {code!r}; there is {', '.join(QUOTAS)}")
        return QUOTAS[code]

    def value(self, code: str) -> float:
        """What applies now; NotFoundError."""
        approved = [request for request in self.requests(code) if request.status == "APPROVED"]
        return approved[0].desired if approved else self.quota(code).initial

    def limit(self, instance_type: str) -> float | None:
        """The most instances of this type, None where there is no quota of it."""
        codes = [code for code, quota in QUOTAS.items() if quota.instance_type == instance_type]
        return self.value(codes[0]) if codes else None

    def request(self, code: str, desired: float, requester: str) -> QuotaRequest:
        """Ask for another value. NotFoundError; ConfigError unless it is a whole number above what applies."""
        with self._state.transaction():
            value = self.value(code)
            if desired <= value or not float(desired).is_integer():
                raise ConfigError(f"the quota {code} is {value:g}; what is asked for must be a whole number above that")
            status: RequestStatus = "APPROVED" if desired <= MOST_INSTANCES else "DENIED"
            made = QuotaRequest(new_id(), code, desired, status, requester, now())
            self._state.execute(
                """INSERT INTO quota_requests (id, code, desired, status, requester, created_at)
                   VALUES (:id, :code, :desired, :status, :requester, :created_at)""",
                vars(made),
            )
        return made

    def get(self, id: str) -> QuotaRequest:
        """A request by its id; NotFoundError."""
        rows = self._state.rows("SELECT * FROM quota_requests WHERE id = ?", (id,))
        if not rows:
            raise NotFoundError(f"no quota request {id!r}")
        return _request(rows[0])

    def requests(self, code: str | None = None, status: str | None = None) -> list[QuotaRequest]:
        """Newest first."""
        rows = self._state.rows(
            """SELECT * FROM quota_requests WHERE (:code IS NULL OR code = :code)
                   AND (:status IS NULL OR status = :status) ORDER BY created_at DESC, rowid DESC""",
            {"code": code, "status": status},
        )
        return [_request(row) for row in rows]


def _request(row: dict[str, Any]) -> QuotaRequest:
    return QuotaRequest(**row)
