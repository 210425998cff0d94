from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from sqlora.errors import BusyError, ModelError
from sqlora.models.cache import CacheEntry, damaged_files

ENTRY = CacheEntry("tiny-0123")


class Builder:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights" * 100)


def test_built_once_then_found(cache: Path) -> None:
    build = Builder()
    assert ENTRY.make(build, {}) == ENTRY.make(build, {}) == ENTRY.folder
    assert build.calls == 1
    assert ENTRY.folder.is_relative_to(cache)
    assert damaged_files(ENTRY.folder) == []


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"w", b"W"))
    os.utime(file, ns=(1, 1))


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [cut, change, remove])
def test_a_damaged_entry_is_made_anew(damage: object) -> None:
    build = Builder()
    folder = ENTRY.make(build, {})
    damage(folder / "model.safetensors")  # type: ignore[operator]
    assert not ENTRY.is_ready()
    assert damaged_files(ENTRY.folder) == ["model.safetensors"]
    ENTRY.make(build, {})
    assert build.calls == 2
    assert (folder / "model.safetensors").read_bytes() == b"weights" * 100


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}', '{"files": 3}', None])
def test_an_entry_without_a_readable_manifest_is_made_anew(text: str | None) -> None:
    build = Builder()
    manifest = ENTRY.make(build, {}) / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text)
    ENTRY.make(build, {})
    assert build.calls == 2


def test_a_copied_entry_whose_times_differ_is_read_and_accepted() -> None:
    build = Builder()
    file = ENTRY.make(build, {}) / "model.safetensors"
    os.utime(file, ns=(1, 1))
    ENTRY.make(build, {})
    assert build.calls == 1


def test_an_interrupted_build_leaves_nothing_and_the_next_one_succeeds() -> None:
    def interrupted(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ENTRY.make(interrupted, {})
    assert [path.suffix for path in ENTRY.folder.parent.iterdir()] == [".lock"]
    ENTRY.make(Builder(), {})
    assert ENTRY.is_ready()


def test_what_a_killed_process_left_is_cleared() -> None:
    aside = ENTRY.folder.with_name(f"{ENTRY.folder.name}.partial")
    aside.mkdir(parents=True)
    (aside / "rubbish").write_text("half")
    folder = ENTRY.make(Builder(), {})
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "manifest.json", "model.safetensors"]
    assert not aside.exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_says_where_and_what_to_do(error: Exception) -> None:
    def build(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise error

    with pytest.raises(ModelError, match="no space left") as caught:
        ENTRY.make(build, {})
    assert "SQLORA_CACHE" in (caught.value.next_step or "")
    assert not ENTRY.folder.exists()


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SQLORA_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot write the model cache"):
        ENTRY.make(Builder(), {})


def test_waiting_too_long_for_another_process_is_a_busy_error() -> None:
    ENTRY.folder.parent.mkdir(parents=True)
    with (
        FileLock(ENTRY.folder.parent / f"{ENTRY.folder.name}.lock"),
        pytest.raises(BusyError, match="another process"),
    ):
        ENTRY.make(Builder(), {}, wait_seconds=0.05)


PROCESS = """
import sys, time
from pathlib import Path
from sqlora.models.cache import CacheEntry
def build(folder):
    Path(sys.argv[1]).open("a").write("built\\n")
    time.sleep(0.3)
    (folder / "model.safetensors").write_bytes(b"weights")
print(CacheEntry("shared").make(build, {}))
"""


def test_processes_that_start_together_build_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    started = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(log)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    answers = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert answers == {str(CacheEntry("shared").folder)}
    assert log.read_text() == "built\n"


def test_the_manifest_names_what_it_was_made_from() -> None:
    folder = ENTRY.make(Builder(), {"file": "x.gguf"})
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["source"] == {"file": "x.gguf"}
    assert manifest["files"]["config.json"]["size"] == 2
