"""Members: registered devices as the gateway sees them, and the work that they can be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.core.privacy import Privacy, PrivacyTerms
from gateway.core.tier import Tier
from gateway.errors import GatewayError

Kind = Literal["generate", "revise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModel:
    """A model that a device runs. `parameters` counts weights (0: unknown); `tokenizer` is the
    tokenizer's fingerprint."""

    name: str
    family: str = ""
    parameters: int = 0
    tokenizer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCondition:
    """A device's state as it last reported it, and its link as it measured it (0: not yet).

    `battery` from 0 to 1, None on mains; `working`: pieces of work under way at the device.
    """

    battery: float | None = None
    hot: bool = False
    working: int = 0
    round_trip_s: float = 0.0
    bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A registered device. `id` is its name, which its token stands for; each process of it draws
    an `instance` of its own; `replica` is the gateway replica that has its connection. Description
    and tags are the device's own words: untrusted text."""

    id: str
    instance: str
    description: str
    models: Sequence[DeviceModel]
    abilities: frozenset[Kind] = frozenset()
    tags: frozenset[str] = frozenset()
    owner: str = ""
    privacy: Privacy = "public"
    max_work: int = 1
    condition: MemberCondition = MemberCondition()
    replica: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """One question for one device. `messages` as in a chat completion; `deadline_s` in seconds from
    now; `sampling` holds fields of `protocol.requests.sampling.Sampling`, but for `max_tokens`.
    `owner` is the one that the caller has proven to be: a device of privacy class `owner` takes
    work of its own owner alone. `id` is that of the caller's request, with a part behind it."""

    kind: Kind
    messages: Sequence[Mapping[str, Any]]
    max_tokens: int
    deadline_s: float
    sampling: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class WorkPiece:
    """A part of an answer, and how many tokens it stands for."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEnd:
    """The good end of an answer. `reason` is an OpenAI finish reason; `logprob` is the mean natural
    log-probability per token, None where unknown."""

    reason: str
    prompt_tokens: int
    completion_tokens: int
    logprob: float | None = None


class MemberFailed(GatewayError):
    """A device can't or won't do its work. `code`: busy, hot, battery, private, unable, too_long,
    deadline, lost (its connection or its replica is gone), unknown, misbehaved, or cancelled (by
    whoever asked). `retry_s`: the device's hint when to ask again, 0 for none."""

    def __init__(self, *, device: str, code: str, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message, code=code)
        self.device = device
        self.retry_s = retry_s


def answers(member: Member, owner: str) -> bool:
    """Whether the member answers questions of this owner. `owner` is the one that the caller has
    proven to be, empty for everybody else."""
    if member.privacy == "public":
        return True
    return member.privacy == "owner" and _is_owners(member, owner)


def may_see(member: Member, owner: str, terms: PrivacyTerms) -> bool:
    """Whether the member may be shown a request of this privacy class, and answers its owner."""
    if not terms.allows(Tier.DEVICE) or not answers(member, owner):
        return False
    return terms.name == "public" or _is_owners(member, owner)


def _is_owners(member: Member, owner: str) -> bool:
    return member.owner != "" and member.owner == owner
