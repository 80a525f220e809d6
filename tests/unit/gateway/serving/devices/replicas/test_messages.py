"""Messages between replicas: what is no message of this version is passed over."""

from __future__ import annotations

import pytest

from gateway.serving.devices.enrolment_records import DeviceRecord
from gateway.serving.devices.enrolment_records import decode as decode_record
from gateway.serving.devices.replicas.messages import decode, decode_lease
from gateway.serving.resumable.messages import decode as decode_stream_message


@pytest.mark.parametrize(
    "message", [b"\x91" * 3000, b"\x81\xa1a" * 3000, b"", b"\xc1", b"\x91\xa1\xff"]
)
def test_what_is_no_message_is_passed_over(message: bytes) -> None:
    assert decode(message) == []
    assert decode_lease(message) is None
    assert decode_stream_message(message) is None
    assert decode_record(DeviceRecord, message) is None
