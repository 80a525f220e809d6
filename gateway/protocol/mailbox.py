"""The wire of an engine's draft mailbox: what gateway and engine send, and how it is framed.

The server is the engine (`services.vllm_server.race.mailbox`), the client is the gateway. The
server sends 32 random bytes; the client answers with their HMAC-SHA256 under the shared secret.
The server closes on a wrong answer, else it sends its greeting. From then on every message, in
both directions, is a 4-byte big-endian length and that many bytes of msgpack:

- greeting: the map `{version, vocabulary, per_step}`: token ids must be below `vocabulary`, and a
  step verifies at most `per_step` drafts of a request;
- from the client: the array `[session, position, token ids, ids before]`, without an answer;
- from the client: the empty array, which asks for counts; a map of numbers comes back.

The engine's image has of the gateway this package alone: of third parties, this file needs only
msgspec, which vLLM brings.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

import msgspec
from msgspec import Meta

VERSION = 1
NONCE_BYTES = 32
PROOF_BYTES = 32
LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 4096
"""From the client. A longer one costs it the connection."""
MAX_REPLY_BYTES = 1 << 16
"""From the server: counts may grow more numerous with its version."""
MAX_TOKENS = 128
"""Draft tokens in one message."""
MAX_BEFORE = 16
"""Tokens before a draft by which the engine finds the text that the draft continues."""

COUNTS_QUESTION = b"\x90"
"""The client's question for counts: the empty array."""
LEVELS = frozenset({"waiting", "sessions", "connections"})
"""The counts that tell how many there are now, and may fall; all others only grow."""

Token = Annotated[int, Meta(ge=0, lt=2**31)]


class DraftMessage(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A draft: `tokens` for output positions from `position` on, after a text ending in
    `before`."""

    session: Annotated[str, Meta(min_length=8, max_length=64)]
    position: Token
    tokens: Annotated[list[Token], Meta(min_length=1, max_length=MAX_TOKENS)]
    before: Annotated[list[Token], Meta(max_length=MAX_BEFORE)] = []


class MailboxGreeting(msgspec.Struct, frozen=True):
    """What a client must know of the engine before it sends drafts."""

    version: int
    vocabulary: int
    per_step: int


_ENCODER = msgspec.msgpack.Encoder()
_DRAFTS = msgspec.msgpack.Decoder(DraftMessage)
_GREETING = msgspec.msgpack.Decoder(MailboxGreeting)
_COUNTS = msgspec.msgpack.Decoder(dict[str, int])


def framed(content: Any) -> bytes:
    """`content` as a message: its length, and its msgpack."""
    return framed_bytes(_ENCODER.encode(content))


def framed_bytes(message: bytes) -> bytes:
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def proof(secret: bytes, nonce: bytes) -> bytes:
    """The client's answer to `nonce`; 32 bytes."""
    return hmac.digest(secret, nonce, hashlib.sha256)


def read_drafts(message: bytes) -> DraftMessage:
    """Raises msgspec.MsgspecError or UnicodeDecodeError for anything but such a message."""
    draft: DraftMessage = _decode(_DRAFTS, message)
    return draft


def read_greeting(message: bytes) -> MailboxGreeting:
    """Raises msgspec.MsgspecError or UnicodeDecodeError for anything but a greeting."""
    greeting: MailboxGreeting = _decode(_GREETING, message)
    return greeting


def read_counts(message: bytes) -> dict[str, int]:
    """Raises msgspec.MsgspecError or UnicodeDecodeError for anything but a map of counts."""
    counts: dict[str, int] = _decode(_COUNTS, message)
    return counts


def _decode(decoder: msgspec.msgpack.Decoder[Any], message: bytes) -> Any:
    try:
        return decoder.decode(message)
    except RecursionError as error:
        raise msgspec.ValidationError("nested too deep") from error
