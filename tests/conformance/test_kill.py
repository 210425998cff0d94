"""SIGKILL, process after process: each goes on where the one before was, and in the end it was done once.

`tests.conformance.test_faults` dies at any operation, but in this process; here the locks, the open transaction and the
half-sent request go with a real one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.conformance.desk import Desk, hasty_server
from tests.conformance.trouble import DEATHS

ROOT = Path(__file__).parents[2]
KILLS = (5, 9, 6)  # the operations at which one process after the other ends


def killed(desk: Desk, url: str, verb: str, operation: int, fault: str) -> None:
    command = [sys.executable, "-m", "tests.conformance.killed", "bedrock", url, str(desk.folder.parent)]
    arguments = [str(desk.number), verb, str(operation), fault]
    ended = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    desk.check()


def test_killed_again_and_again_it_is_done_once(tmp_path: Path) -> None:
    with hasty_server(tmp_path) as server:
        desk = Desk(server.url, tmp_path)
        try:
            for operation in KILLS:
                killed(desk, server.url, "make", operation, DEATHS[operation % 2])
            desk.make()
            assert list(desk.made().values()) == [1]
            for operation in (3, 6):
                killed(desk, server.url, "destroy", operation, DEATHS[operation % 2])
            desk.destroy()
            assert (desk.there(), desk.objects(), desk.backend.resources()) == ([], [], [])
        finally:
            desk.close()
