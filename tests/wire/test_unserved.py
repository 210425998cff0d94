"""Every other operation of the four services: refused clearly, whatever it is asked with."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire import record
from tests.wire.clients import call
from tests.wire.judge import model
from tests.wire.served import SERVICES, others
from tests.wire.shop import Shop

BIDIRECTIONAL = "InvokeModelWithBidirectionalStream"  # HTTP/2 only; boto3 has no such method


def least(shape: Any) -> Any:
    """The least that botocore can send for a shape: its required members, filled with next to nothing."""
    if shape.type_name == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    return {
        "list": [],
        "map": {},
        "string": "x",
        "blob": b"x",
        "boolean": True,
        "timestamp": 0,
    }.get(shape.type_name, 1)


@pytest.mark.parametrize("service", SERVICES)
def test_other_operations_are_unknown_here(shop: Shop, service: str) -> None:
    client = shop.client(service)
    for operation in others(service):
        if operation == BIDIRECTIONAL:
            continue
        shape = model(service).operation_model(operation).input_shape
        with pytest.raises(ClientError) as caught:
            call(client, operation, **(least(shape) if shape else {}))
        error = caught.value.response
        assert error["Error"]["Code"] == "UnknownOperationException", operation
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
        assert operation in error["Error"]["Message"]
        assert (service, operation, record.OK) not in record.SEEN
