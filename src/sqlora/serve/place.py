"""What every wire adaptor is given: the backend behind the server and the few things it is asked for by all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlora.backends.local import LocalBackend
    from sqlora.platform.customization import Customizations
    from sqlora.platform.objects import Objects
    from sqlora.serve.answering import Answering

ACCOUNT = "123456789012"  # what moto's STS says, so that ARNs made of either agree


@dataclass(frozen=True)
class Place:
    """One project being served.

    ``backend`` has models, deployments, usage and the state (``backend.state``); ``answering`` is the one way to an
    answer; ``customizations`` trains what Bedrock and SageMaker clients submit; ``objects`` is S3. ``account`` is the
    12-digit account of every ARN. ``urls``: where the server answers, the one to print first.
    """

    backend: LocalBackend
    answering: Answering
    customizations: Customizations
    objects: Objects
    account: str = ACCOUNT
    urls: tuple[str, ...] = field(default=())
