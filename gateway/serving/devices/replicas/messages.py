"""Messages between replicas about devices, and the value of a device's lease: msgpack.

A message travels in an array of one or more. Channel `devices` goes to all replicas,
`work:<replica>` to the replica that has a device's connection (the owner), `replies:<replica>` to
the replica that has asked for work (the asker). Ids are random, so that nobody can guess one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gateway.core.devices.member import Member, WorkEnd, WorkOrder
from gateway.protocol.device_link.decoding import UNREADABLE

DEVICES = "devices"
ENCODE_ERRORS = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)
"""That an encoder raises for values that it can't write, or that are nested too deep."""


def work_channel(replica: str) -> str:
    return f"work:{replica}"


def replies_channel(replica: str) -> str:
    return f"replies:{replica}"


class DeviceJoined(Struct, tag="joined", frozen=True):
    """The device is registered at `member.replica` now, and nowhere else."""

    member: Member


class DeviceLeft(Struct, tag="left", frozen=True):
    """The device is no longer registered at `replica`."""

    device: str
    replica: str


class TokenRevoked(Struct, tag="revoked", frozen=True):
    """The device's enrolled token, whose SHA-256 this is, opens nothing any more."""

    device: str
    digest: str


class RemoteOrder(Struct, tag="order", frozen=True, kw_only=True):
    """Work for a device that the owner is connected to. `instance` is the process of the device
    that is meant. The order's deadline counts from the arrival."""

    id: str
    asker: str
    device: str
    instance: str
    order: WorkOrder


class WorkRecalled(Struct, tag="recalled", frozen=True):
    """The asker wants the answer no longer."""

    id: str


class AskerHeartbeat(Struct, tag="asking", frozen=True):
    """A heartbeat of `asker`, with the work that it still wants of one owner."""

    asker: str
    ids: list[str]


class WorkText(Struct, tag="text", frozen=True, kw_only=True):
    """A piece of an answer. `n` numbers the messages of one answer from 0: a gap means that one was
    lost."""

    id: str
    n: int
    text: str
    tokens: int


class WorkEnded(Struct, tag="ended", frozen=True):
    """The good end of an answer."""

    id: str
    n: int
    end: WorkEnd


class WorkFailed(Struct, tag="failed", frozen=True, kw_only=True):
    """The other end: the fields of a `MemberFailed`."""

    id: str
    n: int
    code: str
    message: str
    retry_s: float = 0.0


class OwnerHeartbeat(Struct, tag="working", frozen=True):
    """A heartbeat of the owner `replica`, with the work that is under way for one asker."""

    replica: str
    ids: list[str]


ToEverybody = DeviceJoined | DeviceLeft | TokenRevoked
ToOwner = RemoteOrder | WorkRecalled | AskerHeartbeat
ToAsker = WorkText | WorkEnded | WorkFailed | OwnerHeartbeat
Message = ToEverybody | ToOwner | ToAsker


class DeviceLease(Struct, frozen=True, kw_only=True):
    """The value of a device's lease. `beat` counts its renewals, so that others see it renewed."""

    member: Member
    beat: int = 0
    in_flight: int = 0
    finished: int = 0
    refusals: dict[str, int] = {}


def holder(member: Member) -> str:
    """Of the lease on the device's name: the device's process, and the replica with its connection.
    So a replica can't renew or give up a lease that has moved to another with the device."""
    return f"{member.instance}/{member.replica}"


_ENCODER = msgspec.msgpack.Encoder()
_MESSAGES: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(list[Message])
_LEASE = msgspec.msgpack.Decoder(DeviceLease)


def encode(message: Message) -> bytes:
    """Raises one of ENCODE_ERRORS."""
    return _ENCODER.encode(message)


def bundle(messages: Sequence[bytes]) -> bytes:
    """Encoded messages as one array, as they travel."""
    return _ENCODER.encode([msgspec.Raw(message) for message in messages])


def decode(data: bytes) -> list[Message]:
    """Empty for messages of another version: replicas are replaced one by one."""
    try:
        messages: list[Message] = _MESSAGES.decode(data)
    except UNREADABLE:
        return []
    return messages


def encode_lease(lease: DeviceLease) -> bytes:
    return _ENCODER.encode(lease)


def decode_lease(data: bytes | None) -> DeviceLease | None:
    """None for a lease of another version, and for one whose value the store has lost."""
    if data is None:
        return None
    try:
        return _LEASE.decode(data)
    except UNREADABLE:
        return None
