"""Provisioned Throughput: reserved hardware, which one machine does not have. Its operations are refused."""

from __future__ import annotations

from typing import NoReturn

from sqlora.serve.aws.call import AwsError, Call

REFUSAL = (
    "Provisioned Throughput is not available: sqlora serves every deployment on demand. "
    "Use CreateCustomModelDeployment instead."
)


def refuse(call: Call) -> NoReturn:
    """ValidationException, whatever was asked."""
    raise AwsError("ValidationException", REFUSAL)
