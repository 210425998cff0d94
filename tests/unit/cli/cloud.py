"""The backends that the command line finds under the clouds' names, looking more often than a real service wants."""

from __future__ import annotations

import os
import signal
from typing import Any

from sqlora.backends.aws.account import Account
from sqlora.backends.bedrock import BedrockBackend
from sqlora.platform.state import State
from sqlora.project import Project
from tests.conformance.cloud import QUICK

KILLED_AT = "SQLORA_TEST_KILLED_AT"  # the number of the request, from 0, before which the process is killed


class MortalAccount(Account):
    """One whose process may be killed by the system at a request."""

    def __init__(self, project: Project) -> None:
        super().__init__(project.aws)
        self._requests = 0
        self._last = int(os.environ.get(KILLED_AT, "1000000"))
        self._attached: set[str] = set()

    def client(self, service: str) -> Any:
        client = super().client(service)
        if service not in self._attached:
            self._attached.add(service)
            client.meta.events.register("before-send", self._count)
        return client

    def _count(self, **_: Any) -> None:
        if self._requests == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        self._requests += 1


class QuickBedrock(BedrockBackend):
    """As it is, but impatient."""

    def __init__(self, project: Project, state: State) -> None:
        super().__init__(project, state, MortalAccount(project), polling=QUICK)
