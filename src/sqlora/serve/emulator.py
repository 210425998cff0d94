"""S3, IAM, STS and CloudWatch's logs for ``sqlora serve --aws``: moto's, in this process, as an ASGI app.

What moto keeps is in memory (large objects in temporary files) and gone when the server ends; jobs, models and
deployments are the project's and stay, and so do the jobs' logs, which are written again. No policy is enforced: who
may call at all is the server's keys' to say. The account is 123456789012, as everywhere in `sqlora.serve`; the region
is the one that a request was signed for.

moto runs one request at a time, because its dictionaries are not made for threads; a body is taken in before its turn,
so that a slow upload holds up nobody. Only these services are reachable, and none of moto's own endpoints (reset,
recorder, instance metadata).

Importing this imports moto and flask (the extra ``[emulator]``), so only the server does, and only for ``--aws``.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from tempfile import SpooledTemporaryFile
from typing import Any

from a2wsgi import WSGIMiddleware
from moto import settings
from moto.moto_server import werkzeug_app
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sqlora.serve.auth.signed import signed_service
from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.connection import ClientGone
from sqlora.serve.place import ACCOUNT
from sqlora.serve.sagemaker.logs import GROUP, TrainingLogs

SERVICES = ("s3", "iam", "sts", "logs")
THREADS = 16  # bodies taken in and answers sent at once
SPOOL_BYTES = 8 * 2**20  # of a body in memory; boto3's multipart parts have as much
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

StartResponse = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_log = logging.getLogger(__name__)


def aws_emulator(training_logs: TrainingLogs | None = None) -> ASGIApp:
    """The app. It answers what was signed for `SERVICES`, and raises AwsError for anything else.

    ``training_logs`` are written into CloudWatch's whenever somebody asks for those.
    """
    turn = threading.Lock()
    before = {"logs": lambda: _write(training_logs)} if training_logs is not None else {}
    apps = {
        service: WSGIMiddleware(InTurn(app, turn, before.get(service)), THREADS)
        for service, app in _moto_apps().items()
    }

    async def emulator(scope: Scope, receive: Receive, send: Send) -> None:
        service = signed_service(scope) or "s3"
        if service not in apps:
            raise AwsError("UnknownOperationException", f"{service} is not served here; {', '.join(SERVICES)} are.")
        body = Body(receive)
        try:
            await apps[service](scope, body, send)
        except Exception as error:
            if body.error is not None:
                raise body.error from None
            _log.exception("moto cannot answer a request to %s", service)
            raise AwsError(
                "ValidationException", f"moto, which is {service} here, cannot answer this: {type(error).__name__}."
            ) from error

    return emulator


def _moto_apps() -> dict[str, Wsgi]:
    # Roles want policies such as AmazonSageMakerFullAccess, which moto only knows when told so before its first use.
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    # Buckets are in the path, whatever host name the server is reached by; and no web page may read them, which moto
    # would otherwise allow all pages to.
    settings.S3_IGNORE_SUBDOMAIN_BUCKETNAME = True
    werkzeug_app.DISABLE_GLOBAL_CORS = True
    from moto.iam.access_control import PermissionResult  # after MOTO_IAM_LOAD_MANAGED_POLICIES is set
    from moto.s3.models import FakeBucket

    # moto does enforce a bucket's policy, and takes every condition for one that is not met: "TLS only" would shut
    # everybody out, whatever they speak.
    FakeBucket.get_permission = lambda bucket, action, resource: PermissionResult.NEUTRAL
    return {service: werkzeug_app.create_backend_app(service) for service in SERVICES}


def _write(training_logs: TrainingLogs) -> None:
    """Put what the jobs have written since the last time where moto has it; no other request runs meanwhile."""
    from moto.backends import get_backend

    for written in training_logs.new():
        logs = get_backend("logs")[ACCOUNT][written.region]
        logs.ensure_log_group(GROUP)
        logs.ensure_log_stream(GROUP, written.stream)
        events = [{"timestamp": written.at, "message": line} for line in written.lines]
        logs.put_log_events(GROUP, written.stream, events)


class Body:
    """A request's ``receive`` that remembers why it failed, and fails when the client goes in the middle."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.error: Exception | None = None

    async def __call__(self) -> Message:
        """The next part of the body."""
        try:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone  # a part is not the object: nothing must come of it
            return message
        except Exception as error:
            self.error = error
            raise


class InTurn:
    """WSGI around one of moto's apps: takes the body in, waits for its turn, does what comes ``before``, answers."""

    def __init__(self, app: Wsgi, turn: threading.Lock, before: Callable[[], None] | None = None) -> None:
        self._app, self._turn, self._before = app, turn, before

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        """The whole answer; it is in memory anyway."""
        with SpooledTemporaryFile(SPOOL_BYTES) as body:
            shutil.copyfileobj(environ["wsgi.input"], body)
            environ |= _as_werkzeug_has_it(environ["asgi.scope"])
            environ |= {"wsgi.input": body, "CONTENT_LENGTH": str(body.tell()), "wsgi.errors": sys.stderr}
            if environ["REQUEST_METHOD"] == "PUT" and environ.get("CONTENT_TYPE", "").startswith(FORMS):
                environ["CONTENT_TYPE"] = "binary/octet-stream"  # curl calls any data a form, and moto would parse it
            environ.pop("HTTP_TRANSFER_ENCODING", None)  # boto3 sends chunks over TLS; werkzeug would read none of them
            body.seek(0)
            with self._turn:
                if self._before is not None:
                    self._before()
                answer = self._app(environ, start_response)
                try:
                    return list(answer)
                finally:
                    getattr(answer, "close", lambda: None)()


def _as_werkzeug_has_it(scope: Scope) -> dict[str, Any]:
    """What moto's own server adds: the path as it came, and the names of metadata with an underscore.

    WSGI has neither: it decodes ``%2F`` in a key and reads ``x-amz-meta-a_b`` as ``x-amz-meta-a-b``.
    """
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    names = [name.decode("latin-1") for name, _ in scope["headers"] if name.startswith(b"x-amz-meta-") and b"_" in name]
    return {
        "RAW_URI": (scope["raw_path"] + query).decode("latin-1"),
        "moto.preserved_header_names": {f"HTTP_{name.upper().replace('-', '_')}": name for name in names},
    }
