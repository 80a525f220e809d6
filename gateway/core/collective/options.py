"""What one collective request is to do, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_MEMBERS = 16


class Aggregate(StrEnum):
    """How one answer is made of many.

    AUTO: what the members agree on, else TEMPLATE, or BEST_OF_N for models that judge better so.
    TEMPLATE: a server model reads the answers in a prompt. MAJORITY and WEIGHTED: votes. BEST_OF_N:
    the answer that a server model finds the likeliest, weighed with who gave it.
    """

    AUTO = "auto"
    TEMPLATE = "template"
    MAJORITY = "majority"
    WEIGHTED = "weighted"
    BEST_OF_N = "best-of-n"


VOTES = frozenset({Aggregate.MAJORITY, Aggregate.WEIGHTED})


@dataclass(frozen=True, slots=True)
class Pick:
    """Who may be a member: those with these ids and, of them, those with one of these tags. Without
    either, whoever may answer at all. `everybody`: as many as there may be."""

    names: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    everybody: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfMoa:
    """One strong proposer sampled `samples` times instead of many members (arXiv 2502.00674).

    `proposer` names a server model, or with `device` the id of one device.
    """

    proposer: str
    samples: int
    temperature: float
    device: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`quorum` counts answers; None: the share of those asked that the settings give.

    `deadline_s` is for the members, over all rounds. `max_tokens` and `max_cost` bound what all
    members together may spend on one round. `agreement` is the share of the answers' weight that
    must agree for `auto` to need no aggregator. `final_own`: the answer is the asking device's own
    revised one. `degrade`: fewer members than the quorum will do. `template`: name@version, None:
    what the settings' rules say.
    """

    aggregate: Aggregate
    pick: Pick
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
