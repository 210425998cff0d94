"""The server of `tests.wire.live` as a process of its own, to be killed; its URL is the first line that it prints.

python -m tests.wire.process FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.wire.live import Live

if __name__ == "__main__":
    served = Live(Path(sys.argv[1]), {"port": 0})
    served.may_check.set()
    served.serve(lambda url: print(url, flush=True))
