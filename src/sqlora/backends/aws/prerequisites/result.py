"""What one check found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlora.backends.aws.errors import code
from sqlora.errors import AccountError, ServiceError, SqloraError

Status = Literal["pass", "fail", "unknown"]

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "403"}


@dataclass(frozen=True)
class Result:
    """``unknown``: it could not be found out, and ``message`` says why. ``fix`` is the command or action to take."""

    name: str
    status: Status
    message: str
    fix: str = ""


def found(name: str, look: Callable[[], Result | list[Result]]) -> Iterator[Result]:
    """The results of ``look``. What goes wrong inside is a result too; what we may not see is unknown, not wrong."""
    try:
        results = look()
    except SqloraError as error:
        may_not_look = isinstance(error, AccountError) and code(error.__cause__ or error) in _DENIED
        status: Status = "unknown" if may_not_look or isinstance(error, ServiceError) else "fail"
        yield Result(name, status, error.message, error.next_step or "")
    except Exception as error:
        yield Result(name, "unknown", f"{type(error).__name__}: {error}")
    else:
        yield from results if isinstance(results, list) else [results]
