"""What the store keeps about enrolment. Tokens are there as their SHA-256 only."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.core.devices.member import Privacy

R = TypeVar("R", bound=Struct)


class EnrolmentRecord(Struct, frozen=True):
    """A one-time token that has not been used. `name` "": the device may choose."""

    name: str
    owner: str
    privacy: frozenset[Privacy]


class DeviceRecord(Struct, frozen=True):
    """An enrolled device. `digest`: of its token; `enrolled_at`: Unix time, seconds."""

    device: str
    owner: str
    privacy: frozenset[Privacy]
    digest: str
    enrolled_at: int


def encode(record: Struct) -> bytes:
    return msgspec.msgpack.encode(record)


def decode(kind: type[R], value: bytes | None) -> R | None:
    """None where nothing is stored, or something that is none of ours."""
    if value is None:
        return None
    try:
        return msgspec.msgpack.decode(value, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
