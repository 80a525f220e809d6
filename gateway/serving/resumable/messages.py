"""Messages between replicas about resumable streams: msgpack.

Channel `streams:<replica>` goes to the replica that has a stream (the owner), and
`stream-events:<replica>` to the one that its caller has come back to (the asker).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from gateway.protocol.device_link.decoding import UNREADABLE

BEAT_S = 0.5
"""The time after which each side says again what it waits for, and that it is there."""
SILENT_S = 5.0
"""The silence after which a side takes the other for gone."""
BROKEN = "broken"


def owner_channel(replica: str) -> str:
    return f"streams:{replica}"


def asker_channel(replica: str) -> str:
    return f"stream-events:{replica}"


class StreamPull(Struct, tag="pull", frozen=True, kw_only=True):
    """The asker's reader has sent everything up to number `after`. `wanted`: it wants what follows;
    else it only says that it is still there. `opening`: the owner has not answered it yet. `caller`
    is the digest of who owns the stream."""

    reader: str
    asker: str
    stream: str
    caller: str
    after: int
    wanted: bool
    opening: bool


class StreamLeft(Struct, tag="left", frozen=True):
    """The asker's reader reads no more; it has sent everything up to number `position`."""

    reader: str
    position: int


class StreamDropped(Struct, tag="dropped", frozen=True):
    """Its caller, whose digest this is, wants the stream no longer."""

    stream: str
    caller: str


class StreamEvents(Struct, tag="events", frozen=True, kw_only=True):
    """The events after number `after`, the last of which is `position`; none where nothing new came
    for a while. `path`, `status` and `headers` are those of the stream's `StreamHead`."""

    reader: str
    after: int
    position: int
    data: bytes
    final: bool
    path: str
    status: int
    headers: tuple[tuple[bytes, bytes], ...]


class StreamRefused(Struct, tag="refused", frozen=True, kw_only=True):
    """The owner gives this reader nothing: `code` and `message` of an error, or `broken`."""

    reader: str
    code: str
    message: str = ""


FromAsker = StreamPull | StreamLeft | StreamDropped
FromOwner = StreamEvents | StreamRefused

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(FromAsker | FromOwner)


def encode(message: FromAsker | FromOwner) -> bytes:
    return _ENCODER.encode(message)


def decode(data: bytes) -> FromAsker | FromOwner | None:
    """None for a message of another version: replicas are replaced one by one."""
    try:
        message: FromAsker | FromOwner = _DECODER.decode(data)
    except UNREADABLE:
        return None
    return message
