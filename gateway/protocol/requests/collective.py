"""The wire formats of a collective: a request's options, the reply's block, and feedback; see
docs/collective.md."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct
from pydantic import BaseModel, ConfigDict, Field

from gateway.protocol.virtual_models import COLLECTIVE

MODEL = COLLECTIVE
FEEDBACK_PATH = "/v1/collective/feedback"
MAX_NAMES = 64

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Device = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Tag = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
TemplateId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}@[0-9]{1,6}$")]
Aggregate = Literal["auto", "template", "majority", "weighted", "best-of-n"]
OnTooFew = Literal["degrade", "fail"]


class SelfMoaOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One strong proposer, sampled several times: a server `model` (None: the aggregator), or a
    `device` in its place."""

    model: Name | None = None
    device: Device | None = None
    samples: Annotated[int, Meta(ge=1, le=16)] = 5
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.7


class CollectiveOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`tierflow.collective` of a request. What is absent is the settings' default.

    `tags`: only members with one of these. `max_tokens` and `max_cost` are for all members together
    and per round; `rounds` counts revisions; `template` is name@version.
    """

    mode: Literal["members", "self-moa"] = "members"
    aggregate: Aggregate | None = None
    members: (
        Literal["auto", "all"] | Annotated[list[Device], Meta(min_length=1, max_length=MAX_NAMES)]
    ) = "auto"
    tags: Annotated[list[Tag], Meta(max_length=32)] = []
    max_members: Annotated[int, Meta(ge=1, le=16)] | None = None
    quorum: Annotated[int, Meta(ge=1, le=16)] | None = None
    deadline_ms: Annotated[float, Meta(ge=1, le=600_000)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    max_cost: Annotated[float, Meta(gt=0)] | None = None
    rounds: Annotated[int, Meta(ge=0, le=3)] | None = None
    final: Literal["aggregate", "own"] = "aggregate"
    on_too_few: OnTooFew | None = None
    aggregator: Name | None = None
    template: TemplateId | None = None
    agreement: Annotated[float, Meta(gt=0.5, le=1)] | None = None
    self_moa: SelfMoaOptions = SelfMoaOptions()


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Feedback(_Strict):
    """A caller's judgement of an answer."""

    id: str = Field(pattern=r"^chatcmpl-[0-9a-f]{32}$", description="of the answer")
    score: float = Field(ge=0, le=1, description="1: right, 0: wrong")


class MemberBlock(BaseModel):
    """What came of asking one member once. `outcome`: answered, straggler (it was not waited for),
    or failed, with `code`. `share`: the share of the final text that it agrees with."""

    device: str
    role: Literal["answer", "revise"]
    round: int
    outcome: Literal["answered", "straggler", "failed"]
    code: str | None = None
    ms: float
    prompt_tokens: int = 0
    tokens: int = 0
    share: float | None = None


class AggregatorBlock(BaseModel):
    """The server model that aggregated, and the number of its calls."""

    model: str
    tier: str
    template: str | None = None
    calls: int = 1


class CollectiveBlock(BaseModel):
    """`tierflow.collective` of a reply. `decided_by`: template, majority, weighted, best-of-n, own,
    agreement (early exit), or plain (no member answered). `degraded` and `fallback` say why the
    answer came about in another way than the request wants. `unknown_members`: the names in the
    request that no connected device has, each with the nearest one that a device has."""

    mode: str
    decided_by: str
    members: list[MemberBlock]
    aggregator: AggregatorBlock | None = None
    quorum: int
    rounds: int
    domain: str
    early_exit: str | None = None
    degraded: str | None = None
    fallback: str | None = None
    disagreement: bool = False
    cost: float = 0.0
    ms: dict[str, float] = Field(default={}, description="milliseconds by step")
    unknown_members: dict[str, str | None] | None = None
    resumed: bool = False
