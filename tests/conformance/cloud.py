"""A cloud backend for the suites: over HTTP, by boto3 as it is, against ``sqlora serve --aws`` in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import boto3

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.aws.polling import Polling
from sqlora.platform.state import State
from sqlora.project import Project, load_project
from tests.conformance.workplace import write_project
from tests.wire.clients import KEY, SECRET
from tests.wire.live import Live, live

BUCKET = "larkspur"
ROLE = "arn:aws:iam::123456789012:role/Customization"
QUICK = Polling(first=0.02, most=0.1, longest=30.0, in_use=2.0)


def cloud_project(folder: Path, url: str, backend: str = "bedrock", more: str = "") -> Project:
    """A project that trains on ``backend``, with a bucket and a role in an account at ``url``."""
    write_project(
        folder,
        f"""[project]
name = "Larkspur Markets"
[train]
backend = "{backend}"
[aws]
endpoint_url = "{url}"
bucket = "{BUCKET}"
role_arn = "{ROLE}"
import_role_arn = "{ROLE}"
{more}""",
    )
    return load_project(folder, environ={})


@cache
def _session() -> boto3.Session:
    """One, so that the service models are read once; with keys that the server takes."""
    return boto3.Session(KEY, SECRET, region_name="us-east-1")


def account_of(project: Project) -> Account:
    """With boto3's clients as they are."""
    return Account(project.aws, _session())


@contextmanager
def cloud_backend(
    make: type[AwsBackend], folder: Path, server: Live, polling: Polling = QUICK
) -> Iterator[AwsBackend]:
    """The backend of a project in ``folder``, whose account is the server; its bucket is made if need be."""
    project = cloud_project(folder, server.url, make.name)
    with State(project.paths.database) as state:
        backend = make(project, state, account_of(project), polling=polling)
        s3 = backend.account.client("s3")
        if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=BUCKET)
        try:
            yield backend
        finally:
            backend.account.close()


@contextmanager
def cloud(make: type[AwsBackend], folder: Path) -> Iterator[AwsBackend]:
    """The same, with a server of its own."""
    with live(folder / "server", aws=True) as server, cloud_backend(make, folder, server) as backend:
        yield backend
