"""The file that SigV4 secrets are derived from: 32 random bytes that only their owner may read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from filelock import FileLock

from sqlora.errors import ConfigError, DatabaseError

SIZE = 32


class KeysFile:
    """The file at ``path``; nothing is made by naming it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> bytes:
        """The content; the file is made where there is none. Processes that make it at once agree on one."""
        if not self.path.exists():
            with FileLock(f"{self.path}.lock"):
                if not self.path.exists():
                    self._write(secrets.token_bytes(SIZE))
        return self.read()

    def _write(self, content: bytes) -> None:
        """Whole or not at all, and at no moment readable by others, whatever the umask; git is to pass it over."""
        ignore = self.path.with_name(".gitignore")
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        aside = self.path.with_suffix(".part")
        aside.unlink(missing_ok=True)  # of a process that was killed here
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.path)

    def read(self) -> bytes:
        """The content. DatabaseError when it is missing or damaged, ConfigError when others may read it.

        It is read each time: keys may be made by a command while a server runs.
        """
        try:
            with self.path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                content = file.read(SIZE + 1)
        except FileNotFoundError as error:
            raise DatabaseError(
                f"{self.path} is missing, so no signature can be verified", "sqlora keys rotate ID, for each key"
            ) from error
        if os.name == "posix" and mode & 0o077:
            raise ConfigError(f"{self.path} may be read by others (mode {mode:o})", f"chmod 600 {self.path}")
        if len(content) != SIZE:
            raise DatabaseError(
                f"{self.path} is damaged: {SIZE} bytes are expected",
                "remove it, and sqlora keys rotate ID, for each key",
            )
        return content
