"""AWS Signature Version 4, from the side that verifies it: in the Authorization header, or in a presigned URL.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, and botocore.auth, which the
tests sign with. The path is signed as it was sent, quoted once more (``%3A`` → ``%253A``), except for S3.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from botocore.utils import normalize_url_path
from starlette.types import Scope

from sqlora.serve.aws.call import AwsError

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
LONGEST_LIFE = 7 * 24 * 3600  # seconds that a presigned URL may live
UNSIGNED = "UNSIGNED-PAYLOAD"

_KEY_ID = r"[A-Za-z0-9_-]{1,128}"
_CREDENTIAL = re.compile(rf"({_KEY_ID})/(\d{{8}})/([a-z0-9-]{{1,32}})/([a-z0-9-]{{1,32}})/aws4_request")
_AUTHORIZATION = re.compile(rf"{ALGORITHM} +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([^, ]+) *")
_SIGNED_HEADERS = re.compile(r"[a-z0-9_-]+(;[a-z0-9_-]+)*")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_QUERY_FIELDS = ("Credential", "SignedHeaders", "Signature", "Date")
_TIME = "%Y%m%dT%H%M%SZ"

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True)
class Request:
    """What is signed of a request, as it came: path and query raw, header names lower-case, values of one name joined.

    Text is Latin-1, a character a byte.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, scope: Scope) -> Request:
        """Out of an ASGI scope."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), " ".join(raw_value.decode("latin-1").split())
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        return cls(scope["method"], raw_path.decode("latin-1"), scope["query_string"].decode("latin-1"), headers)


@dataclass(frozen=True)
class Claim:
    """What a signature says of itself, before it is verified. ``expires``: seconds that a presigned URL lives."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    time: datetime
    expires: int | None = None

    @property
    def scope(self) -> str:
        """The credential's scope."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_claim(request: Request) -> Claim | None:
    """The signature in header or query, None if there is neither; IncompleteSignatureException for a malformed one."""
    authorization = request.headers.get("authorization", "")
    if authorization.startswith(ALGORITHM):
        parts = _AUTHORIZATION.fullmatch(authorization)
        if parts is None:
            raise _incomplete("Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.")
        return _claim(parts[1], parts[2], parts[3], request.headers.get("x-amz-date", ""), None)
    if "X-Amz-Algorithm=" not in request.query:
        return None
    fields = dict(parse_qsl(request.query, keep_blank_values=True))
    life = fields.get("X-Amz-Expires", "")
    if fields.get("X-Amz-Algorithm") != ALGORITHM or not re.fullmatch(r"[0-9]{1,6}", life) or int(life) > LONGEST_LIFE:
        raise _incomplete("X-Amz-Algorithm or X-Amz-Expires is not valid.")
    credential, signed, signature, date = (fields.get(f"X-Amz-{name}", "") for name in _QUERY_FIELDS)
    return _claim(credential, signed, signature, date, int(life))


def _claim(credential: str, signed: str, signature: str, date: str, expires: int | None) -> Claim:
    parts = _CREDENTIAL.fullmatch(credential)
    if parts is None:
        raise _incomplete("Credential must be of the form KEY/YYYYMMDD/REGION/SERVICE/aws4_request.")
    if not _SIGNED_HEADERS.fullmatch(signed) or "host" not in signed.split(";"):
        raise _incomplete("'host' must be one of the SignedHeaders.")
    if not _SIGNATURE.fullmatch(signature):
        raise _incomplete("Signature must be 64 hexadecimal digits.")
    try:
        time = datetime.strptime(date, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete("X-Amz-Date must be of the form YYYYMMDDTHHMMSSZ.") from None
    if date[:8] != parts[2]:
        raise AwsError("InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD of X-Amz-Date.")
    return Claim(parts[1], parts[2], parts[3], parts[4], tuple(signed.split(";")), signature, time, expires)


def _incomplete(message: str) -> AwsError:
    return AwsError("IncompleteSignatureException", message)


def check_time(claim: Claim, now: datetime) -> None:
    """InvalidSignatureException when signed over 15 minutes ago or ahead, RequestExpired for a presigned URL."""
    if claim.expires is not None and now - claim.time > timedelta(seconds=claim.expires):
        raise AwsError("RequestExpired", "Request has expired.")
    if claim.time - now > SKEW or (claim.expires is None and now - claim.time > SKEW):
        late = claim.time < now
        raise AwsError(
            "InvalidSignatureException",
            f"Signature {'expired' if late else 'not yet current'}: {claim.time:{_TIME}} is "
            f"{'earlier' if late else 'later'} than {now:{_TIME}} by more than 15 minutes.",
        )


def verify(claim: Claim, secret: str, request: Request, body: bytes | None) -> None:
    """InvalidSignatureException unless ``request`` was signed with ``secret``.

    ``body`` None: the hash that the request states of its body is taken at its word, and is to be checked as the body
    comes (S3's may be gigabytes).
    """
    unsigned = [n for n in request.headers if n.startswith("x-amz-") and n not in claim.signed_headers]
    if unsigned:
        raise AwsError("InvalidSignatureException", f"There are headers that were not signed: {', '.join(unsigned)}.")
    text = _string_to_sign(claim, _canonical(claim, request, _payload_hash(claim, request, body)))
    if not hmac.compare_digest(_sign(claim, secret, text), claim.signature):
        raise AwsError("InvalidSignatureException", MISMATCH)


def _payload_hash(claim: Claim, request: Request, body: bytes | None) -> str:
    stated = request.headers.get("x-amz-content-sha256")
    if claim.service == "s3":  # the one service that lets a body go unsigned, or be signed in chunks
        if stated is None and claim.expires is not None:
            return UNSIGNED
        if stated is not None and (body is None or not _SIGNATURE.fullmatch(stated)):
            return stated
    actual = hashlib.sha256(body or b"").hexdigest()
    if stated is not None and not hmac.compare_digest(stated.encode(), actual.encode()):
        raise AwsError("InvalidSignatureException", "x-amz-content-sha256 is not the hash of the request's body.")
    return actual


def _canonical(claim: Claim, request: Request, payload_hash: str) -> bytes:
    headers = "".join(f"{name}:{request.headers.get(name, '')}\n" for name in claim.signed_headers)
    lines = (
        request.method,
        _canonical_path(claim, request.path),
        _canonical_query(request.query),
        headers,
        ";".join(claim.signed_headers),
        payload_hash,
    )
    return "\n".join(lines).encode("latin-1")


def _canonical_path(claim: Claim, path: str) -> str:
    if claim.service == "s3":
        return path
    return quote(normalize_url_path(path).encode("latin-1"), safe="/~")


def _canonical_query(query: str) -> str:
    pairs = []
    for field in query.split("&") if query else []:
        name, _, value = field.partition("=")
        pairs.append((_requoted(name), _requoted(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature")


def _requoted(text: str) -> str:
    return quote(unquote_to_bytes(text.encode("latin-1")), safe="-_.~")


def _string_to_sign(claim: Claim, canonical: bytes) -> str:
    return "\n".join((ALGORITHM, f"{claim.time:{_TIME}}", claim.scope, hashlib.sha256(canonical).hexdigest()))


def _sign(claim: Claim, secret: str, text: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
