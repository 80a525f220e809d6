"""What the store keeps about enrolment. Tokens are there as their SHA-256 only."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.core.devices.member import Privacy

ENROLMENTS = "enrolment"
"""Kind of the cells of one-time tokens that have not been used, by their SHA-256."""
TOKENS = "device-token"
"""Kind of the cells that say whose an enrolled token is, by its SHA-256."""
ENROLLED = "enrolled"
"""Kind of the leases on the names of enrolled devices; the holder is the token's SHA-256."""
KEPT_S = 90 * 86_400.0
"""Seconds for which a device stays enrolled without connecting."""

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
