"""What replicas say to each other about devices: msgpack, an array of messages at a time.

Channel `devices` goes to everybody, `work:<replica>` to the replica that has the device's
connection, `replies:<replica>` to the one that asks. Ids are random, so that nobody can guess one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gateway.core.devices.member import Member, WorkEnd, WorkOrder

DEVICES = "devices"
ENCODE_ERRORS = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)
"""What an encoder raises for values that it can't write, or that are nested too deep."""


def work_channel(replica: str) -> str:
    return f"work:{replica}"


def replies_channel(replica: str) -> str:
    return f"replies:{replica}"


class DeviceJoined(Struct, tag="joined", frozen=True):
    """The device is registered with `member.replica` now, and with nobody else."""

    member: Member


class DeviceLeft(Struct, tag="left", frozen=True):
    device: str
    replica: str


class TokenRevoked(Struct, tag="revoked", frozen=True):
    """The device's token, whose SHA-256 this is, is worth nothing any more."""

    device: str
    digest: str


class RemoteOrder(Struct, tag="order", frozen=True):
    """`instance`: of the device that is meant. The deadline counts from the arrival."""

    id: str
    asker: str
    device: str
    instance: str
    order: WorkOrder


class WorkRecalled(Struct, tag="recalled", frozen=True):
    id: str


class StillWanted(Struct, tag="asking", frozen=True):
    """A heartbeat: `asker` lives, and still wants this."""

    asker: str
    ids: list[str]


class WorkText(Struct, tag="text", frozen=True):
    """`n` numbers what is said about one id, from 0: a gap is a message that was lost."""

    id: str
    n: int
    text: str
    tokens: int


class WorkEnded(Struct, tag="ended", frozen=True):
    id: str
    n: int
    end: WorkEnd


class WorkFailed(Struct, tag="failed", frozen=True):
    id: str
    n: int
    code: str
    message: str
    retry_s: float = 0.0


class StillWorking(Struct, tag="working", frozen=True):
    """A heartbeat: `replica` lives, and this is being worked on."""

    replica: str
    ids: list[str]


ToEverybody = DeviceJoined | DeviceLeft | TokenRevoked
ToOwner = RemoteOrder | WorkRecalled | StillWanted
ToAsker = WorkText | WorkEnded | WorkFailed | StillWorking
Message = ToEverybody | ToOwner | ToAsker


class DeviceLease(Struct, frozen=True):
    """The value of a device's lease. `beat` counts its renewals."""

    member: Member
    beat: int = 0
    in_flight: int = 0
    finished: int = 0
    refusals: dict[str, int] = {}


def holder(member: Member) -> str:
    """Of the lease on the device's name. A replica renews and gives up its own leases alone, even
    where the same process of the device has gone on to another."""
    return f"{member.instance}/{member.replica}"


_ENCODER = msgspec.msgpack.Encoder()
_MESSAGES: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(list[Message])
_LEASE = msgspec.msgpack.Decoder(DeviceLease)


def encode(message: Message) -> bytes:
    """Raises UNSAYABLE."""
    return _ENCODER.encode(message)


def bundled(messages: Sequence[bytes]) -> bytes:
    """Messages, each encoded, as they travel."""
    return _ENCODER.encode([msgspec.Raw(message) for message in messages])


def decode(data: bytes) -> list[Message]:
    """Empty for what another version says: replicas are replaced one by one."""
    try:
        messages: list[Message] = _MESSAGES.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []
    return messages


def encode_lease(lease: DeviceLease) -> bytes:
    return _ENCODER.encode(lease)


def decode_lease(data: bytes | None) -> DeviceLease | None:
    """None for what another version says, and for a lease whose value the store has lost."""
    if data is None:
        return None
    try:
        return _LEASE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
