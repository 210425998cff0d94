"""Which server runs for a project: one at a time, by a lock, and how to ask it, by a file only its owner can read."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sqlora.errors import BusyError, NotFoundError
from sqlora.project import StateFolder

FILE_NAME = "server.json"
LOCK_NAME = "server.lock"
ASK_SECONDS = 10.0


def new_token() -> str:
    """What opens the server's own endpoints to this machine's user, in place of a key; it ends with the process."""
    return "sqlora-own-" + secrets.token_urlsafe(32)


@contextmanager
def only_server(paths: StateFolder) -> Iterator[None]:
    """Held as long as the server runs. BusyError when one runs already: two would train the same jobs."""
    paths.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.path / LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        known = _read(paths)
        what = f"process {known['pid']} at {known['url']}" if known else "another process"
        raise BusyError(f"a server of this project runs already: {what}", "sqlora ps, or stop that one") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def announced(paths: StateFolder, url: str, token: str, certificate: Path | None) -> Iterator[None]:
    """The file is there, for its owner's eyes only, as long as this lasts."""
    file = paths.path / FILE_NAME
    known = {"pid": os.getpid(), "url": url, "token": token, "certificate": str(certificate) if certificate else None}
    aside = file.with_name(f"{FILE_NAME}.{os.getpid()}.part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump(known, written)
    os.replace(aside, file)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()


def ask_server(paths: StateFolder, path: str) -> dict[str, Any]:
    """The JSON that the running server answers, and its ``url``; NotFoundError when none runs."""
    known = _read(paths)
    if known is None or not _locked(paths):
        raise NotFoundError("no server runs for this project", "sqlora serve")
    request = urllib.request.Request(known["url"] + path, headers={"Authorization": f"Bearer {known['token']}"})
    try:
        with _opener(known).open(request, timeout=ASK_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise NotFoundError(f"the server at {known['url']} refused to answer ({error.code})", "sqlora serve") from error
    except (OSError, ValueError) as error:
        raise BusyError(f"the server at {known['url']} does not answer: {error}", "try again, or stop it") from error
    return {"url": known["url"], **found}


def _opener(known: dict[str, Any]) -> urllib.request.OpenerDirector:
    """No proxy: the server is this machine's. Its certificate is the one in the file, whatever name that is for."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if known["certificate"]:
        context = ssl.create_default_context(cafile=known["certificate"])
        context.check_hostname = False
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


def _read(paths: StateFolder) -> dict[str, Any] | None:
    try:
        found = json.loads((paths.path / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"pid", "url", "token", "certificate"} <= set(found) else None


def _locked(paths: StateFolder) -> bool:
    """Whether a server holds the lock: the file alone may be left from one that was killed."""
    try:
        with FileLock(paths.path / LOCK_NAME, timeout=0):
            return False
    except Timeout:
        return True
