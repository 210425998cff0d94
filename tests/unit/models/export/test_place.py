"""An export is whole or absent, and never written over something."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sqlora.errors import ConfigError, ModelError
from sqlora.models.export.place import new_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from sqlora.models.export.place import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "model.gguf").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_export_leaves_nothing_under_the_name_and_the_next_one_works(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    with new_folder(out) as folder:
        assert list(folder.iterdir()) == []  # what the killed one had written is gone
        (folder / "model.gguf").write_bytes(b"whole")
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "model.gguf").read_bytes() == b"whole"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    for name in ("file", "folder", "link"):
        with pytest.raises(ConfigError, match="something at"), new_folder(tmp_path / name):
            raise AssertionError("not to be entered")
    with new_folder(tmp_path / "empty") as folder:
        (folder / "model").write_text("x")
    assert (tmp_path / "empty" / "model").exists()
    assert (tmp_path / "folder" / "note").read_text() == "mine"


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "cannot write")])
def test_disks_that_are_full_or_closed(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught, new_folder(tmp_path / "out"):
        raise OSError(number, "no")
    assert "--out" in (caught.value.next_step or "")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_in_the_words_of_safetensors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no space left"), new_folder(tmp_path / "out"):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
