"""The options of one collective request, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_MEMBERS = 16


class Aggregate(StrEnum):
    """The way in which one answer is made of many.

    AUTO: what the members agree on; where they do not, BEST_OF_N for models that judge better by
    likelihood, else TEMPLATE. TEMPLATE: a server model reads the answers in a prompt. MAJORITY and
    WEIGHTED: votes. BEST_OF_N: the answer that is the likeliest by a server model and by the weight
    of the members that gave it.
    """

    AUTO = "auto"
    TEMPLATE = "template"
    MAJORITY = "majority"
    WEIGHTED = "weighted"
    BEST_OF_N = "best-of-n"


VOTES = frozenset({Aggregate.MAJORITY, Aggregate.WEIGHTED})


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """The caller's choice of members: those with one of these ids (none: any) and with one of these
    tags (none: any)."""

    ids: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfMoa:
    """One strong proposer that is sampled `samples` times, in place of many members (Self-MoA,
    arXiv 2502.00674). `proposer` is a server model's name or, if `device`, a device's id."""

    proposer: str
    samples: int
    temperature: float
    device: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one request.

    `quorum` counts answers; None: the share of the chosen members that the settings give.
    `deadline_s` is for the members, over all rounds. `max_tokens` and `max_cost` bound what all
    members together may spend on one round. `agreement` is the share of the answers' weight that
    must agree for `auto` to need no aggregator. `final_own`: the answer is the calling device's own
    revised one. `degrade`: the request is answered also with fewer answers than the quorum.
    `template`: name@version; None: the one that the settings' rules give.
    """

    aggregate: Aggregate
    filter: MemberFilter
    max_members: int
    quorum: int | None
    deadline_s: float
    rounds: int
    aggregator: str
    agreement: float
    max_tokens: int | None = None
    max_cost: float | None = None
    final_own: bool = False
    degrade: bool = True
    template: str | None = None
    self_moa: SelfMoa | None = None

    @property
    def devices(self) -> bool:
        """Whether devices are asked."""
        return self.self_moa is None or self.self_moa.device

    @property
    def most_engine_requests(self) -> int:
        """How often engines may be asked for one answer: by server samples in each round, by the
        aggregator after each, and for the likelihood of each answer."""
        answers = self.max_members if self.self_moa is None else self.self_moa.samples
        sampled = 0 if self.devices else answers
        weighed = answers if self.aggregate in (Aggregate.BEST_OF_N, Aggregate.AUTO) else 0
        return (self.rounds + 1) * (sampled + 1) + weighed
