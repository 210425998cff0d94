"""The folder that an export goes to: whole or not at all, and never over something that is there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlora.errors import ConfigError, ModelError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside ``out`` to be filled, which gets its name at the end of the block.

    ConfigError when there is something at ``out`` already; ModelError for a disk that is full or may not be written.
    However the block ends, a process killed in it included, ``out`` is complete or absent.
    """
    out = out.absolute()
    if out.is_dir() and not any(out.iterdir()):
        pass  # an empty folder made for this
    elif out.exists() or out.is_symlink():
        raise ConfigError(f"there is something at {out} already", "remove it, or give --out another folder")
    aside = out.with_name(f"{out.name}.partial")
    with _disk_errors(out):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
            for file in aside.iterdir():
                _sync(file)
            aside.rename(out)
        except BaseException:  # Ctrl-C too
            shutil.rmtree(aside, ignore_errors=True)
            raise


def _sync(file: Path) -> None:
    """On the disk itself before it has its name: what looks whole after a power cut is whole."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"no space left on the disk of {out}", "free some, or give --out another disk") from error
        raise ModelError(f"cannot write {out}: {error}", "give --out another folder") from error
    except Exception as error:
        if "os error 28" in str(error) or "No space left" in str(error):  # safetensors has words of its own
            raise ModelError(f"no space left on the disk of {out}", "free some, or give --out another disk") from error
        raise
