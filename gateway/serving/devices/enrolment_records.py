"""What the store keeps about enrolment. It never sees a token, only its SHA-256."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.core.privacy import Privacy
from gateway.protocol.device_link.decoding import UNREADABLE

ENROLMENTS = "enrolment"
"""Kind of the cells of one-time tokens, by their SHA-256: until used, and a minute longer."""
TOKENS = "device-token"
"""Kind of the cells that say whose an enrolled token is, by its SHA-256."""
ENROLLED = "enrolled"
"""Kind of the leases on the names of enrolled devices. The holder is the SHA-256 of the one-time
token, so that a device which repeats its exchange holds the name already."""
REVOKED = "revoked-token"
"""Kind of the cells that say that a token was revoked, by its SHA-256: a token that has neither
cell was lost with the store's content, or never given."""
KEPT_S = 90 * 86_400.0
"""Seconds for which a device stays enrolled without connecting, and a revoked token is known."""

R = TypeVar("R", bound=Struct)


class DeviceRecord(Struct, frozen=True, kw_only=True):
    """An enrolled device. `digest` is the SHA-256 of its token, `enrolment` that of the one-time
    token which it was exchanged for; `enrolled_at`: Unix time, seconds."""

    device: str
    owner: str
    privacy: frozenset[Privacy]
    digest: str
    enrolment: str
    enrolled_at: int


class EnrolmentRecord(Struct, frozen=True, kw_only=True):
    """A one-time token. `name` "": the device may choose. `used`: the device that it has enrolled;
    `attempt`: the SHA-256 of what that device drew for it, "" where it drew nothing."""

    name: str
    owner: str
    privacy: frozenset[Privacy]
    used: DeviceRecord | None = None
    attempt: str = ""


def encode(record: Struct) -> bytes:
    return msgspec.msgpack.encode(record)


def decode(kind: type[R], value: bytes | None) -> R | None:
    """None where nothing is stored, or a value that is no record of this kind."""
    if value is None:
        return None
    try:
        return msgspec.msgpack.decode(value, type=kind)
    except UNREADABLE:
        return None
