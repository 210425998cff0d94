"""Frames against botocore's own reader of them."""

from __future__ import annotations

import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.eventstream import event, exception, frame
from sqlora.serve.aws.model import service
from sqlora.serve.aws.response import OutputError

STREAM = service("bedrock-runtime").operation("ConverseStream").get_event_stream_output()


def read(data: bytes) -> list[tuple[dict[str, str], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(min_size=1, max_size=40), st.text(max_size=200), max_size=4),
            st.binary(max_size=500),
        ),
        max_size=4,
    )
)
def test_botocore_reads_what_is_written(frames: list[tuple[dict[str, str], bytes]]) -> None:
    assert read(b"".join(frame(headers, payload) for headers, payload in frames)) == frames


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_changed_byte_is_noticed(payload: bytes, data: st.DataObject) -> None:
    written = bytearray(frame({":event-type": "chunk"}, payload))
    written[data.draw(st.integers(12, len(written) - 1))] ^= 0x55  # past the lengths: those only make it wait for more
    with pytest.raises(ChecksumMismatch):
        read(bytes(written))


def test_an_event() -> None:
    ((headers, payload),) = read(
        event(STREAM, "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Köln"}})
    )
    assert headers == {
        ":event-type": "contentBlockDelta",
        ":message-type": "event",
        ":content-type": "application/json",
    }
    assert json.loads(payload) == {"contentBlockIndex": 0, "delta": {"text": "Köln"}}


@pytest.mark.parametrize("name", ["contentBlock", "throttlingException"])
def test_an_event_that_the_stream_does_not_have(name: str) -> None:
    with pytest.raises(OutputError, match=f"no event '{name}'"):
        event(STREAM, name, {})


def test_an_event_with_a_member_missing() -> None:
    with pytest.raises(OutputError, match="stopReason is required"):
        event(STREAM, "messageStop", {})


@pytest.mark.parametrize(
    ("error", "name", "members"),
    [
        (AwsError("ThrottlingException", "slow", 429), "throttlingException", {"message": "slow"}),
        (AwsError("ModelStreamErrorException", "bad", 424, {"originalStatusCode": 500, "other": 1}),
         "modelStreamErrorException", {"message": "bad", "originalStatusCode": 500}),
        (AwsError("ModelErrorException", "bad", 424), "modelStreamErrorException", {"message": "bad"}),
        (AwsError("AccessDeniedException", "no", 403), "validationException", {"message": "no"}),
        (AwsError("ModelTimeoutException", "late", 500), "internalServerException", {"message": "late"}),
    ],
)  # fmt: skip
def test_an_exception(error: AwsError, name: str, members: dict[str, object]) -> None:
    ((headers, payload),) = read(exception(STREAM, error))
    assert headers == {":exception-type": name, ":message-type": "exception", ":content-type": "application/json"}
    assert json.loads(payload) == members
