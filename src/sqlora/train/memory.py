"""Keep freed memory in the process.

A step frees and takes again gigabytes in blocks of tens of megabytes; glibc gives each back to the kernel, and the
page faults of taking them again cost a quarter of the step (docs/LOG.md).
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys

import psutil  # type: ignore[import-untyped]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Tell glibc's allocator not to return memory; does nothing elsewhere."""
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 256 * 2**20)


def release_freed_memory(above_mb: float = 4608) -> None:
    """Give freed memory back when the process holds more than ``above_mb``: batches differ in size, so what is
    kept of them breaks into pieces that no later batch fits, and the process would grow with every step."""
    if sys.platform != "linux" or psutil.Process().memory_info().rss < above_mb * 2**20:
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
