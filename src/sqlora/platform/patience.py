"""Trying again what may succeed later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlora.errors import RetryableError

RETRIES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0)  # seconds; the server's own S3 starts after its jobs do

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def patiently(work: Callable[[], _Result], pauses: Sequence[float], pause: Callable[[float], object]) -> _Result:
    """What ``work`` returns, tried again after each of the ``pauses`` (seconds) while it raises a RetryableError.

    ``pause`` waits; it may raise to give up earlier. The last try's error is raised.
    """
    for seconds in pauses:
        try:
            return work()
        except RetryableError as error:
            _log.warning("%s; trying again in %g s", error.message, seconds)
            pause(seconds)
    return work()
