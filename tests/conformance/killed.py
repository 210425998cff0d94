"""A command that kills itself: ``python -m tests.conformance.killed BACKEND URL FOLDER NUMBER VERB OPERATION FAULT``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from tests.conformance.desk import Desk
from tests.conformance.sagemaker_desk import SageMakerDesk
from tests.conformance.trouble import Trouble


class Killer(Trouble):
    """No Python runs after it: nothing is rolled back, unlocked or flushed."""

    def die(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


DESKS = {"bedrock": Desk, "sagemaker": SageMakerDesk}
VERBS = {"make": Desk.make, "destroy": Desk.destroy}


def main(backend: str, url: str, folder: str, number: str, verb: str, operation: str, fault: str) -> None:
    """Do it until that operation."""
    trouble = Killer()
    desk = DESKS[backend](url, Path(folder), number=int(number), trouble=trouble)
    trouble.arm({int(operation): fault})
    VERBS[verb](desk)


if __name__ == "__main__":
    main(*sys.argv[1:])
