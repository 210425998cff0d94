"""A server on loopback answers only to loopback's names.

Anybody's web page can point a name of its own at 127.0.0.1 and then ask this server as its own origin (DNS rebinding),
credentials made up, which loopback accepts. The page cannot hide the name: browsers send it as Host.
"""

from __future__ import annotations

import ipaddress
import json

from starlette.types import ASGIApp, Receive, Scope, Send


class Loopback:
    """ASGI middleware: 421 for another host's name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is for this machine."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        if scope["type"] != "http" or is_own(host.decode("latin-1")):
            await self._app(scope, receive, send)
            return
        message = "this server listens on loopback and answers to localhost and 127.0.0.1 only"
        body = json.dumps({"message": message, "error": {"message": message, "type": "invalid_request_error"}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 421, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def is_own(host: str) -> bool:
    """Whether a Host header names this machine: localhost, what is below it (buckets), or a loopback address."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
