"""What the store keeps about enrolment. Tokens are there as their SHA-256 only."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.core.devices.member import Privacy

ENROLMENTS = "enrolment"
"""Kind of the cells of one-time tokens, by their SHA-256: until used, and a minute longer."""
TOKENS = "device-token"
"""Kind of the cells that say whose an enrolled token is, by its SHA-256."""
ENROLLED = "enrolled"
"""Kind of the leases on the names of enrolled devices. The holder is the SHA-256 of the one-time
token: whoever repeats an exchange holds the name already."""
KEPT_S = 90 * 86_400.0
"""Seconds for which a device stays enrolled without connecting."""

R = TypeVar("R", bound=Struct)


class DeviceRecord(Struct, frozen=True):
    """An enrolled device. `digest`: of its token, `enrolment`: of the one-time token that it was
    got for; `enrolled_at`: Unix time, seconds."""

    device: str
    owner: str
    privacy: frozenset[Privacy]
    digest: str
    enrolment: str
    enrolled_at: int


class EnrolmentRecord(Struct, frozen=True):
    """A one-time token. `name` "": the device may choose. `used`: what it has enrolled, `attempt`
    the SHA-256 of what the device drew for that, "" where it drew nothing."""

    name: str
    owner: str
    privacy: frozenset[Privacy]
    used: DeviceRecord | None = None
    attempt: str = ""


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
