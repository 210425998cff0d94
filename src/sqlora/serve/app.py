"""Which protocol a request speaks, and all of them as one ASGI app over one project.

    Observe → Limits → Loopback → signed, or with X-Amz-Target ──> AWS (Bedrock, SageMaker, quotas; S3, IAM, STS, logs)
                                  /v1/…                       ──> OpenAI
                                  /health /metrics …           ──> the server's own
                                  anything else                ──> AWS, by its path

A signature decides first, so that a bucket may be called ``v1`` or ``health``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from sqlora.backends.local import LocalBackend
from sqlora.errors import ConfigError
from sqlora.platform.admission import FairQueue
from sqlora.platform.customization import Customizations
from sqlora.platform.quota import Quota
from sqlora.serve import bedrock, own, sagemaker
from sqlora.serve.answering import Answering
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.auth.own_keys import OwnKeys
from sqlora.serve.auth.signed import is_aws, is_object_store
from sqlora.serve.auth.who import Who
from sqlora.serve.aws.api import AwsApi
from sqlora.serve.aws.call import Handler
from sqlora.serve.bedrock import runtime
from sqlora.serve.bedrock.activation import Activation
from sqlora.serve.edge.limits import Limits
from sqlora.serve.edge.loopback import Loopback
from sqlora.serve.edge.metrics import Metrics
from sqlora.serve.edge.notes import note
from sqlora.serve.edge.observe import Observe
from sqlora.serve.openai.api import openai_api
from sqlora.serve.place import ACCOUNT, Place
from sqlora.serve.s3 import S3Objects
from sqlora.serve.sagemaker.logs import TrainingLogs


@dataclass(frozen=True)
class Application:
    """The ASGI app, the place that it serves, and what works in the background for it."""

    app: ASGIApp
    place: Place
    activation: Activation

    def start(self) -> None:
        """Go on with the jobs that the last process left; the port must listen, S3 may be behind it."""
        self.place.customizations.start()

    def close(self) -> None:
        """Stop working: training writes its checkpoint, and the next start goes on from there."""
        self.place.customizations.close()
        self.activation.close()


def build(
    backend: LocalBackend, url: str, token: str, loopback: bool, worker_command: Sequence[str] | None = None
) -> Application:
    """Everything behind ``url``. ``token`` opens the server's own endpoints; ``loopback``: no other machine gets here.

    The caller starts and closes it; the backend is closed after it.
    """
    settings = backend.project.serve
    metrics = Metrics()
    queue = FairQueue(settings.running, settings.waiting, max(1, settings.waiting // 4))
    quota = Quota(settings.requests_per_minute, settings.tokens_per_minute)
    metrics.watch(queue, backend.residency)
    keys = OwnKeys(backend.state)
    objects = S3Objects(url, credentials=keys.credentials, own=True) if settings.aws else S3Objects()
    train = backend.project.train
    place = Place(
        backend,
        Answering(backend, queue, quota, metrics.answered, settings.waiting_seconds),
        Customizations(backend.state, backend.paths, objects, train.base_model, train.seed, worker_command),
        objects,
        ACCOUNT,
        (url,),
    )
    authenticate = Authenticate(keys, loopback)
    emulator = _emulator(place) if settings.aws else None
    activation = Activation(backend, objects)
    handlers = {**runtime.handlers(place), **bedrock.handlers(place, activation), **sagemaker.handlers(place)}
    app = build_app(place, handlers, metrics, authenticate, token, loopback, emulator)
    return Application(app, place, activation)


def build_app(
    place: Place,
    handlers: Mapping[tuple[str, str], Handler],
    metrics: Metrics,
    authenticate: Authenticate,
    token: str,
    loopback: bool,
    emulator: ASGIApp | None = None,
) -> ASGIApp:
    """The layers above, over ``place``."""
    who = Who(authenticate, token)
    protocols = Protocols(
        AwsApi(handlers, authenticate, emulator),
        openai_api(place, who),
        own.own_api(place, metrics, who, open_to_all=loopback),
    )
    inner: ASGIApp = Loopback(protocols) if loopback else protocols
    return Observe(Limits(inner, is_object_store), metrics)


def _emulator(place: Place) -> ASGIApp:
    try:
        from sqlora.serve.emulator import aws_emulator
    except ModuleNotFoundError as error:
        raise ConfigError(f"--aws needs the package {error.name}", "pip install 'sqlora[emulator]'") from error
    return aws_emulator(TrainingLogs(place))


class Protocols:
    """Picks one for each request."""

    def __init__(self, aws: ASGIApp, openai: ASGIApp, own: ASGIApp) -> None:
        self._aws, self._openai, self._own = aws, openai, own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its protocol."""
        path = scope["path"]
        if not is_aws(scope) and path.startswith("/v1/"):
            note().protocol = "openai"
            await self._openai(scope, receive, send)
        elif not is_aws(scope) and path in own.PATHS:
            note().protocol = "sqlora"
            await self._own(scope, receive, send)
        else:
            note().protocol = "aws"
            await self._aws(scope, receive, send)
