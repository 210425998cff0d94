"""Real database servers for the tests that need them, from Debian's packages, on a free port of the loopback.

PostgreSQL refuses to run as root, so where the tests do, the servers run as another user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
UNPRIVILEGED = ("postgres", "mysql", "nobody")


@dataclass(frozen=True)
class Server:
    """Where a server answers; `url` is for its administrator, who needs no password there."""

    scheme: str
    admin: str
    port: int

    def url(self, user: str | None = None, database: str = "") -> str:
        """The URL of a user's connection to a database; by default the administrator's."""
        return f"{self.scheme}://{user or self.admin}@127.0.0.1:{self.port}/{database}"


def postgres_bin() -> Path | None:
    """The folder of PostgreSQL's own programs: Debian keeps it out of PATH, newest version last."""
    if (found := shutil.which("pg_ctl")) is not None:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return folders[-1] if folders and (folders[-1] / "pg_ctl").exists() else None


def mariadb_server() -> str | None:
    """The path of mariadbd, which Debian keeps in a folder for administrators."""
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def postgres() -> Iterator[Server]:
    """A new PostgreSQL server with one administrator, `admin`; gone afterwards."""
    programs = postgres_bin()
    assert programs is not None
    with _folder() as (folder, identity):
        data = folder / "data"
        initdb = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "admin",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **identity)
        port = _free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        command = [programs / "postgres", "-D", data, *(part for each in settings for part in ("-c", each))]
        with _running(command, folder, identity):
            yield Server("postgresql", "admin", port)


@contextmanager
def mariadb() -> Iterator[Server]:
    """A new MariaDB server with one administrator, `root`; gone afterwards."""
    program = mariadb_server()
    assert program is not None
    with _folder() as (folder, identity):
        data = folder / "data"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                   "--skip-test-db", "--skip-name-resolve"]  # fmt: skip
        subprocess.run(install, check=True, capture_output=True, cwd=folder, **identity)
        port = _free_port()
        command = [program, "--no-defaults", f"--datadir={data}", f"--socket={folder / 'socket'}", f"--port={port}",
                   "--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0",
                   "--innodb-buffer-pool-size=32M", "--character-set-server=utf8mb4"]  # fmt: skip
        with _running(command, folder, identity):
            yield Server("mysql", "root", port)


@contextmanager
def _folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder that the server's user owns, and how to start a process as that user.

    Not one of pytest's, which are root's alone.
    """
    with tempfile.TemporaryDirectory(prefix="sqlora-server-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = next(entry for each in UNPRIVILEGED if (entry := _user(each)) is not None)
            os.chown(folder, user.pw_uid, user.pw_gid)
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        yield folder, identity


def _user(name: str) -> pwd.struct_passwd | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name)
    return None


@contextmanager
def _running(command: list[Any], folder: Path, identity: dict[str, Any]) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **identity)
    try:
        _wait(process, folder / "log")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if b"ready to accept connections" in log.read_bytes() or b"ready for connections" in log.read_bytes():
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
