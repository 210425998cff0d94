"""sqlora itself, for a container of SageMaker's: an archive with its source, what it needs, and how it is started.

The job's own entry point unpacks it, so any image with Python 3.11 and pip will do, and none has to be built.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from importlib import metadata
from pathlib import Path

import sqlora

ARCHIVE = "sqlora.tar.gz"
# 256 characters at most. $SQLORA_ML_ROOT is for tests, which have no /opt/ml.
ENTRYPOINT = ["/bin/sh", "-c"]
ARGUMENTS = [
    'm="${SQLORA_ML_ROOT:-/opt/ml}"; mkdir -p "$m/code" && '
    f'tar -xzf "$m/input/data/code/{ARCHIVE}" -C "$m/code" && exec sh "$m/code/start.sh"'
]
PROCESSES = "SQLORA_PROCESSES"  # of one training, each on a GPU of its own
START = f"""#!/bin/sh
set -e
cd "$(dirname "$0")"
python3 -m pip install --quiet --no-input --disable-pip-version-check -r requirements.txt
n="${{{PROCESSES}:-1}}"
[ "$n" = 1 ] && exec python3 -m sqlora.train.container
exec python3 -m torch.distributed.run --standalone --nproc-per-node "$n" -m sqlora.train.container
"""
LEFT_OUT = {"__pycache__", "examples"}


def requirements() -> list[str]:
    """What training needs, as this installation of sqlora declares it."""
    found = []
    for each in metadata.requires("sqlora") or []:
        requirement, _, marker = (part.strip() for part in each.partition(";"))
        if not marker or marker.replace("'", '"') == 'extra == "train"':
            found.append(requirement)
    return found


def write_archive(file: Path) -> Path:
    """The archive, byte for byte the same for the same source."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        _add(archive, "start.sh", START.encode())
        _add(archive, "requirements.txt", "".join(f"{each}\n" for each in requirements()).encode())
        root = Path(sqlora.__file__).parent
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and not LEFT_OUT & set(inside.parts):
                _add(archive, f"sqlora/{inside.as_posix()}", path.read_bytes())
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.part")
    aside.write_bytes(gzip.compress(content.getvalue(), mtime=0))
    os.replace(aside, file)
    return file


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    archive.addfile(member, io.BytesIO(content))
