"""The draft mailbox's wire: what is sent, and how it is framed.

The server sends 32 random bytes; the client answers with their HMAC-SHA256 under the shared
secret. The server closes on a wrong one, else it sends its greeting. From then on every message,
in both directions, is a 4-byte big-endian length and that many bytes of msgpack:

- greeting: the map `{version, vocabulary, per_step}`: token ids must be below `vocabulary`, and a
  step verifies at most `per_step` drafts of a request;
- from the client: the array `[session, position, token ids, ids before]`, without an answer;
- from the client: the empty array, which asks for counts; a map of numbers comes back.
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
MAX_MESSAGE = 4096
MAX_TOKENS = 128
MIN_SECRET = 16
"""Characters."""

COUNTS = b"\x90"
"""The empty array."""

Token = Annotated[int, Meta(ge=0, lt=2**31)]


class Drafts(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Draft `tokens` for output positions from `position` on, after a text ending in `before`."""

    session: Annotated[str, Meta(min_length=8, max_length=64)]
    position: Token
    tokens: Annotated[list[Token], Meta(min_length=1, max_length=MAX_TOKENS)]
    before: Annotated[list[Token], Meta(max_length=16)] = []


class Greeting(msgspec.Struct, frozen=True):
    version: int
    vocabulary: int
    per_step: int


_DRAFTS = msgspec.msgpack.Decoder(Drafts)


def read_drafts(message: bytes) -> Drafts:
    """Raises msgspec.MsgspecError or UnicodeDecodeError for what is no such message."""
    return _DRAFTS.decode(message)


def framed(content: Any) -> bytes:
    message = msgspec.msgpack.encode(content)
    return len(message).to_bytes(4, "big") + message


def proof(secret: bytes, nonce: bytes) -> bytes:
    """The client's answer to `nonce`; 32 bytes."""
    return hmac.digest(secret, nonce, hashlib.sha256)
