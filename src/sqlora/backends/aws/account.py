"""One AWS account and region: boto3's clients, made when first asked for, and who we are there.

boto3 finds the credentials and endpoints as everywhere (environment, ~/.aws, ``AWS_ENDPOINT_URL``…); ``[aws]`` may name
a profile, a region and one endpoint for all services, such as that of ``sqlora serve --aws``.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

from sqlora import __version__
from sqlora.backends.aws.errors import aws_errors
from sqlora.settings import AwsSection

ATTEMPTS = 5  # in boto3's standard mode: throttling, 5xx and broken connections, with growing waits between
CONNECT_SECONDS = 10.0
READ_SECONDS = 300.0  # an answer may take so long; AWS advises an hour at most
CONNECTIONS = 32


class Account:
    """Clients of one account and region. Safe to use from several threads, as boto3's clients are."""

    def __init__(self, settings: AwsSection, session: Any = None) -> None:
        self.settings = settings
        self.region = settings.region
        self._given = session
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()  # boto3's sessions are not made for threads

    def client(self, service: str) -> Any:
        """boto3's client of ``service``; AccountError without usable credentials settings."""
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def close(self) -> None:
        """Let go of the connections; a client that is asked for later is a new one."""
        with self._making:
            while self._clients:
                self._clients.popitem()[1].close()

    def _make(self, service: str) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=CONNECTIONS,
            user_agent_extra=f"sqlora/{__version__}",
            # A bucket called sqlora.example has no host name of its own at a local endpoint.
            s3={"addressing_style": "path"} if self.settings.endpoint_url else None,
        )
        with aws_errors("open an AWS session"):
            return self._session.client(service, endpoint_url=self.settings.endpoint_url, config=config)

    @cached_property
    def _session(self) -> Any:
        if self._given is not None:
            return self._given
        import boto3

        return boto3.Session(profile_name=self.settings.profile, region_name=self.region)

    @cached_property
    def _identity(self) -> dict[str, str]:
        with aws_errors("ask AWS who we are"):
            found: dict[str, str] = self.client("sts").get_caller_identity()
        return found

    @property
    def id(self) -> str:
        """Twelve digits; AccountError or ServiceError when AWS does not know us."""
        return self._identity["Account"]

    @property
    def caller(self) -> str:
        """The ARN of the user or role that the credentials belong to."""
        return self._identity["Arn"]

    @property
    def partition(self) -> str:
        """``aws``, or the one of China or of a government."""
        return self.caller.split(":")[1]
