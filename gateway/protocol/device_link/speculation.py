"""Frames between a device that drafts and the gateway: one msgpack map a WebSocket message.

Each frame names its kind under `t`; docs/speculation.md describes the whole protocol. Decoding
checks every type, bound and size, so that what comes out needs no further look at its shape.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gateway.protocol.device_link import work
from gateway.protocol.device_link.decoding import UNREADABLE
from gateway.protocol.device_link.fields import Code, Id, Name, Number, Seconds, Text
from gateway.protocol.device_link.fields import FinishReason as FinishReason
from gateway.protocol.device_link.fields import Privacy as Privacy
from gateway.protocol.device_link.fields import Tier as Tier
from gateway.protocol.requests.sampling import Sampling as Sampling
from gateway.protocol.requests.sampling import StopText as StopText

VERSION = 1
PATH = "/v1/devices/connect"
MAX_FRAME_BYTES = 1 << 20
MAX_DRAFT_TOKENS = 64
MAX_PROMPT_TOKENS = 1 << 17
MAX_SESSIONS = 64
MAX_MIDDLE_TIERS = 4
MAX_AHEAD_TOKENS = 512
MAX_RUNS = 16
BEFORE = 4
"""Tokens before a draft that are compared, to tell which branch it continues."""
LEAST_DRAFT = 4
"""Draft tokens that a draft counts as at least: the work for it is not in its tokens alone."""


DRAINED = "drained"
"""The code of the error by which a gateway ends what has not ended when it has to stop."""
DRAINING = "draining"
"""The code of the error by which a gateway that stops sends its devices elsewhere: what is under
way goes on to its end, nothing new begins. The connection is closed once nothing is under way."""


class FrameError(Exception):
    """A message that is no frame; the text names the field and what it must be."""


class Offer(Struct, frozen=True, kw_only=True):
    """A tier that answers: its model, the model's tokenizer, and how many draft tokens a step.

    `tokenizer` is empty when unknown; `per_step` 0 where drafts are not taken. `privacy`: the
    classes of requests that the tier may see. `through`: the tiers in the middle by which it can be
    reached now, the nearest to the device first. `round_trip_s`: between the gateway and the tier,
    which drafts have to cross as well as the device's own link; 0: not measured.
    """

    tier: Tier
    model: str
    tokenizer: str = ""
    per_step: int = 0
    privacy: tuple[Privacy, ...] = ("public",)
    through: tuple[Tier, ...] = ()
    round_trip_s: float = 0.0


class Hello(Struct, tag="hello", tag_field="t", frozen=True):
    """The device's first frame."""

    version: Annotated[int, Meta(ge=1, lt=2**31)]
    agent: Annotated[str, Meta(max_length=200)] = ""


class Welcome(Struct, tag="welcome", tag_field="t", frozen=True, kw_only=True):
    """The gateway's answer: how long the lease lasts without news, and what it takes.

    `drafts_per_s`: draft tokens a second, over all sessions; what is beyond is refused.
    """

    version: int
    device: str
    lease_s: Seconds
    heartbeat_s: Seconds
    max_sessions: int = MAX_SESSIONS
    max_draft_tokens: int = MAX_DRAFT_TOKENS
    drafts_per_s: float = 0.0
    offers: list[Offer] = []


class Ping(Struct, tag="ping", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """A heartbeat, which renews the lease and measures the link; `pad` makes it a probe of the
    bandwidth.

    `round_trip_s` and `bytes_per_s` tell what the device has measured so far (0: nothing yet).
    """

    n: Annotated[int, Meta(ge=0, lt=2**53)]
    round_trip_s: Seconds = 0.0
    bytes_per_s: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    pad: Annotated[bytes, Meta(max_length=1 << 16)] = b""


class Pong(Struct, tag="pong", tag_field="t", frozen=True):
    """The answer to the ping of the same number. `offers` as of now."""

    n: int
    offers: list[Offer] = []


class Open(Struct, tag="open", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """A request for an answer at `tier`, for which the device may draft.

    `s` is the device's own number for the session, unused so far on this connection. The prompt
    is either `prompt` (token ids), or `messages` (as in a chat completion; the ids come back in
    `opened`). `tokenizer` is the device's fingerprint. `verified` are the ids of the answer that an
    earlier session has brought, on a connection that was lost: the answer goes on after them.
    `privacy` is the request's class, `id` its own as in `x-request-id`; the gateway draws one where
    there is none. `through` are tiers in the middle, the nearest to the device first: each takes
    the drafts of the one before it and drafts for the next, and `tier` alone verifies.
    """

    s: Number
    tier: Tier
    tokenizer: Annotated[str, Meta(max_length=128)]
    prompt: Annotated[list[Id], Meta(max_length=MAX_PROMPT_TOKENS)] = []
    messages: Annotated[list[dict[str, Any]], Meta(max_length=1000)] = []
    sampling: Sampling = Sampling()
    model: Name | None = None
    verified: Annotated[list[Id], Meta(max_length=MAX_PROMPT_TOKENS)] = []
    privacy: Privacy = "public"
    id: Annotated[str, Meta(max_length=128)] = ""
    through: Annotated[tuple[Tier, ...], Meta(max_length=MAX_MIDDLE_TIERS)] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a chain that passes a tier twice."""
        if self.through and len({*self.through, self.tier}) <= len(self.through):
            raise ValueError("through: each tier once, and not the one that verifies")


class Opened(Struct, tag="opened", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """The acceptance of a session; tokens follow. `prompt` only where messages were given."""

    s: int
    model: str
    endpoint: str
    per_step: int = 0
    prompt: list[int] = []


class Run(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A run of token ids `i` for output positions from `p` on, after the ids `b` before `p`."""

    p: Number
    i: Annotated[list[Id], Meta(min_length=1, max_length=MAX_DRAFT_TOKENS)]
    b: Annotated[list[Id], Meta(max_length=BEFORE)] = []


class Draft(Struct, tag="draft", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """A draft: token ids `i` for output positions from `p` on, after the ids `b` before `p`.

    Drafts of one session may contradict each other: each is a branch, and `b` tells which text
    it continues. The first that was sent is tried first. `m` holds further ones in one frame.
    """

    s: Number
    p: Number
    i: Annotated[list[Id], Meta(min_length=1, max_length=MAX_DRAFT_TOKENS)]
    b: Annotated[list[Id], Meta(max_length=BEFORE)] = []
    m: Annotated[list[Run], Meta(max_length=MAX_RUNS - 1)] = []

    @property
    def runs(self) -> list[Run]:
        return [Run(self.p, self.i, self.b), *self.m]

    @property
    def weight(self) -> int:
        """Draft tokens that it counts as, where they are rationed."""
        return max(LEAST_DRAFT, len(self.i) + sum(1 + len(run.i) for run in self.m))


class Tokens(Struct, tag="tokens", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """Verified ids `i` from output position `p` on; the first `d` of them had been drafted.

    `w`, only where tiers in the middle draft too: for each id, who of the chain wrote it first, as
    a place in it. 0: the device; 1: the first tier of `through`, and so on; the last: the verifier.
    """

    s: int
    p: int
    i: list[int]
    d: int = 0
    w: list[Annotated[int, Meta(ge=0, le=MAX_MIDDLE_TIERS + 1)]] = []


class Ahead(Struct, tag="ahead", tag_field="t", frozen=True):
    """Ids `i` that a tier in the middle expects from output position `p` on, not verified.

    They replace what earlier ones said of `p` and later positions; with no ids, nothing is expected
    there any more. The device drafts on after them.
    """

    s: int
    p: int
    i: Annotated[list[int], Meta(max_length=MAX_AHEAD_TOKENS)]


class Done(Struct, tag="done", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """The end of a complete answer. `stop` is the stop text that ended it; the ids go beyond it.
    `stop_token` is the id of the token that did, where that is not the model's usual end."""

    s: int
    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    drafted: int = 0
    accepted: int = 0
    stop: str | None = None
    stop_token: int | None = None


class Cancel(Struct, tag="cancel", tag_field="t", frozen=True):
    """The end of a session by the device, which wants no more of the answer; `done` with reason
    `cancelled` confirms."""

    s: Number


class Error(Struct, tag="error", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """An error of one session, or (without `s`) of the connection. `fatal` ends what it is
    about. `param`: the field of a request at fault, as an engine names it."""

    code: Code
    message: Text
    s: int | None = None
    fatal: bool = False
    param: Code | None = None


FromDevice = Hello | Ping | Open | Draft | Cancel | work.FromDevice
FromGateway = Welcome | Pong | Opened | Tokens | Ahead | Done | Error | work.FromGateway

_ENCODER = msgspec.msgpack.Encoder()
_FROM_DEVICE: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(FromDevice)
_FROM_GATEWAY: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(FromGateway)


def encode(frame: FromDevice | FromGateway) -> bytes:
    return _ENCODER.encode(frame)


def decode_from_device(message: bytes) -> FromDevice:
    """Raises FrameError."""
    frame: FromDevice = _decode(_FROM_DEVICE, message)
    return frame


def decode_from_gateway(message: bytes) -> FromGateway:
    """Raises FrameError."""
    frame: FromGateway = _decode(_FROM_GATEWAY, message)
    return frame


def _decode(decoder: msgspec.msgpack.Decoder[Any], message: bytes) -> Any:
    if len(message) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(message)} bytes: at most {MAX_FRAME_BYTES} are taken")
    try:
        return decoder.decode(message)
    except UNREADABLE as exc:
        raise FrameError(str(exc)) from exc
