"""An ASGI app on a free port of this machine, and boto3 clients of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import boto3
import uvicorn
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.wire.judge import watch

ACCOUNT = "123456789012"


@contextmanager
def running(app: Any, certificate: Path | None = None) -> Iterator[str]:
    """Its URL, while it is served by uvicorn in a thread; over TLS with the certificate and key of a file."""
    tls = {"ssl_certfile": str(certificate)} if certificate else {}
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none", **tls))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the server did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http{'s' if certificate else ''}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def self_signed(folder: Path) -> Path:
    """A file with a certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = Encoding.PEM
    file = folder / "tls.pem"
    file.write_bytes(key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(pem))
    return file


def client(service: str, url: str, key: str = "AKIDEXAMPLE", secret: str = "secret", **config: Any) -> Any:
    """An unmodified boto3 client of the server, tried once; the judge looks at all its answers."""
    made = boto3.session.Session().client(
        service,
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config),
    )
    if service in ("bedrock", "bedrock-runtime", "sagemaker", "service-quotas"):
        watch(made)
    return made
