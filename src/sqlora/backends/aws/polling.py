"""Waiting for AWS: Bedrock has no waiters, so we look, less often as time goes by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlora.backends.aws.errors import is_expired
from sqlora.errors import ServiceError

_Found = TypeVar("_Found")

GROWTH = 1.5


@dataclass(frozen=True)
class Polling:
    """How often to look, in seconds: after ``first``, then ever later, at last every ``most``.

    ``patience``: AWS may throttle, fail or be out of reach (a closed laptop) for so long, and looking goes on.
    ``longest``: a deployment, a model or a deletion that takes longer is given up; a job may take any time.
    ``in_use``: what cannot be deleted yet, because another deletion is not over, is asked for again for so long.
    """

    first: float = 1.0
    most: float = 30.0
    patience: float = 900.0
    longest: float = 3600.0
    in_use: float = 300.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def until(self, look: Callable[[], _Found | None], waiting_for: str, longest: float | None = None) -> _Found:
        """What ``look`` finds, once it is not None.

        ServiceError when AWS has been in trouble for longer than ``patience``, at once when the credentials have
        expired, and after ``longest`` seconds, if given: ``waiting_for`` completes "… is not over".
        """
        began, pause, trouble = self.clock(), self.first, None
        while True:
            try:
                found, trouble = look(), None
            except ServiceError as error:
                trouble = self.clock() if trouble is None else trouble
                if is_expired(error) or self.clock() - trouble > self.patience:
                    raise
                found = None
            if found is not None:
                return found
            if longest is not None and self.clock() - began > longest:
                raise ServiceError(
                    f"{waiting_for} is not over after {longest / 60:.0f} minutes", "the same command goes on waiting"
                )
            self.sleep(pause)
            pause = min(pause * GROWTH, self.most)
