"""Samples of a link, as the speculation benchmark gets them."""

from __future__ import annotations

from dataclasses import replace

from loadtest.speculation.agreements import DrafterAgreements
from loadtest.speculation.ideal.agreement import Agreement
from loadtest.speculation.links import Sample
from loadtest.speculation.plan import DIRECT, QUICK, SERVER_ONLY, Variant

LINK = QUICK.links[0]


def sample(number: int, variant: Variant, tpot: float | None, **fields: object) -> Sample:
    usual = Sample(
        round=number,
        prompt=number,
        variant=variant,
        tpot=tpot,
        ttft=0.05,
        latency=0.4,
        gaps=(),
        exact=True,
        accepted=0,
        drafted=0,
        degraded=False,
    )
    return replace(usual, **fields)  # type: ignore[arg-type]


def known(drafter: str, right: bool = False) -> dict[str, DrafterAgreements]:
    """A drafter of 1 ms that is always right in the answers of all prompts, or never."""
    one = Agreement.FIRST if right else Agreement.NONE
    return {drafter: DrafterAgreements(answers=[[one] * 35] * 10, draft_s=0.001)}


def measured(speed: float, variant: Variant) -> list[Sample]:
    """Ten rounds, in which the variant is `speed` times as fast as server-only streaming."""
    server = [sample(i, SERVER_ONLY, 0.01 * (1 + i)) for i in range(10)]
    ours = [sample(i, variant, 0.01 * (1 + i) / speed) for i in range(10)]
    return [*server, *ours, sample(0, DIRECT, 0.01, gaps=(0.009, 0.011, 0.010))]
