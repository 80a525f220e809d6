"""Frames by which a device offers itself as a member and gets work: docs/device-members.md.

They travel on the same connection as drafts, after `hello`. A device that never registers only
drafts. The gateway numbers the work (`w`), the device answers each number with pieces and one
`finished`, or with `refused`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gateway.protocol.device_link.fields import FinishReason, Name, Number, Seconds, Text
from gateway.protocol.device_link.fields import Privacy as Privacy
from gateway.protocol.requests.sampling import Sampling

MAX_WORK = 64
MAX_MESSAGES = 64
MAX_PIECE_CHARS = 1 << 16
MAX_TAGS = 32
MAX_MODELS = 16

Kind = Literal["generate", "revise"]
RefusalCode = Literal["busy", "hot", "battery", "private", "unable", "too_long", "deadline"]
Tag = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
Share = Annotated[float, Meta(ge=0, le=1)]


class Model(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A model of a device's. `parameters` counts weights (0: unknown), `tokenizer` is its
    fingerprint."""

    name: Name
    family: Annotated[str, Meta(max_length=256)] = ""
    parameters: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    tokenizer: Annotated[str, Meta(max_length=128)] = ""


class Condition(Struct, frozen=True, omit_defaults=True):
    """The condition of a device now. `battery` is its charge where it runs on one; None: on
    mains."""

    battery: Share | None = None
    hot: bool = False
    working: Annotated[int, Meta(ge=0, le=MAX_WORK)] = 0


class Register(
    Struct, tag="register", tag_field="t", frozen=True, omit_defaults=True, kw_only=True
):
    """The registration of a device: what it is and can do. Sent after `welcome`, and again when it
    changes.

    `instance` is drawn anew by each process, so that a device that comes back can be told from a
    second one with the same token.
    """

    instance: Annotated[str, Meta(min_length=8, max_length=64)]
    description: Text
    models: Annotated[list[Model], Meta(min_length=1, max_length=MAX_MODELS)]
    abilities: Annotated[list[Kind], Meta(max_length=8)] = []
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS)] = []
    owner: Annotated[str, Meta(max_length=256)] = ""
    privacy: Privacy = "public"
    max_work: Annotated[int, Meta(ge=1, le=MAX_WORK)] = 1
    condition: Condition = Condition()


class Registered(Struct, tag="registered", tag_field="t", frozen=True, omit_defaults=True):
    """The confirmation of a registration: work may come. `max_work` may be less than was
    offered."""

    device: str
    max_work: int


class State(Struct, tag="state", tag_field="t", frozen=True):
    """A change of the device's condition."""

    condition: Condition


class Work(Struct, tag="work", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """An order of work: answer `messages`, as in a chat completion, within `deadline_s` from now.

    `sampling.max_tokens` is the budget, always given. `id` is that of the caller's request, with a
    part behind it.
    """

    w: Number
    kind: Kind
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_MESSAGES)]
    sampling: Sampling
    deadline_s: Seconds
    id: Annotated[str, Meta(max_length=256)] = ""


class Recall(Struct, tag="recall", tag_field="t", frozen=True):
    """The recall of work that the gateway no longer wants; nothing needs to be said about it any
    more."""

    w: Number


class Piece(Struct, tag="piece", tag_field="t", frozen=True):
    """The next text of an answer, which stands for `n` tokens."""

    w: Number
    text: Annotated[str, Meta(max_length=MAX_PIECE_CHARS)]
    n: Number


class Finished(
    Struct, tag="finished", tag_field="t", frozen=True, omit_defaults=True, kw_only=True
):
    """The end of a complete answer. `logprob`: mean natural log-probability per token, None:
    unknown."""

    w: Number
    reason: FinishReason
    prompt_tokens: Number
    completion_tokens: Number
    logprob: Annotated[float, Meta(le=0)] | None = None


class Refused(Struct, tag="refused", tag_field="t", frozen=True, omit_defaults=True, kw_only=True):
    """The refusal of work that the device won't do, or can't go on with. `retry_s`: when to ask
    again, as a hint."""

    w: Number
    code: RefusalCode
    message: Text = ""
    retry_s: Seconds = 0.0


FromDevice = Register | State | Piece | Finished | Refused
FromGateway = Registered | Work | Recall
