"""The `tierflow` object of a reply: who said what share of it, how long it took, what it cost."""

from __future__ import annotations

from typing import Any

from gateway.core.collective.answers import Reading, comparable, share
from gateway.core.collective.lessons import VOTED, from_agreement, from_failures, teaches
from gateway.core.collective.report import Part, Report
from gateway.core.prices import Prices
from gateway.protocol.collective import AggregatorBlock, CollectiveBlock, MemberBlock
from gateway.serving.collective.aggregation import Final
from gateway.serving.collective.memory_values import Learned
from gateway.serving.collective.options import CollectiveRequest


def shares(report: Report, final: Reading) -> dict[str, float]:
    """What share of the final text each device's first answer agrees with."""
    if report.mode != "members":
        return {}
    return {part.device: share(final, part.reading) for part in _first(report)}


def _first(report: Report) -> list[Part]:
    return [part for part in report.parts if part.answered and part.role == "answer"]


def learned(asked: CollectiveRequest, report: Report, final: Reading) -> Learned:
    """What the answer says of its members, and what of that a caller may judge."""
    found = shares(report, final)
    if not teaches(report, named=bool(asked.options.pick.names)):
        return Learned(shares=found)
    voted = report.decided_by in VOTED
    vague = [p.device for p in _first(report) if not comparable(final, p.reading)]
    lessons = [*from_agreement(found, voted=voted, vague=vague), *from_failures(report)]
    return Learned(shares=found, lessons=lessons, judged=found, vague=vague)


def block(report: Report, final: Final, prices: Prices) -> dict[str, Any]:
    reading = Reading(final.text)
    aggregator = None
    if report.aggregator is not None:
        model, tier = report.aggregator
        aggregator = AggregatorBlock(
            model=model, tier=tier, template=final.template, calls=report.server_calls
        )
    found = CollectiveBlock(
        mode=report.mode,
        decided_by=final.decided_by,
        members=[_member(part, reading) for part in report.parts],
        aggregator=aggregator,
        quorum=report.quorum,
        rounds=report.rounds,
        domain=report.domain,
        early_exit=report.early_exit,
        degraded=report.degraded,
        fallback=report.fallback,
        disagreement=report.disagreement,
        cost=round(cost(report, prices), 6),
        ms={step: round(seconds * 1000.0, 1) for step, seconds in report.steps.items()},
        resumed=report.resumed,
    )
    return {"collective": found.model_dump(exclude_none=True)}


def cost(report: Report, prices: Prices) -> float:
    return sum(prices.of(tier, tokens) for (tier, _), tokens in report.spent.items())


def _member(part: Part, final: Reading) -> MemberBlock:
    return MemberBlock(
        device=part.device,
        role=part.role,
        round=part.round,
        outcome=part.outcome,
        code=part.code,
        ms=round(part.seconds * 1000.0, 1),
        prompt_tokens=part.prompt_tokens,
        tokens=part.completion_tokens,
        share=round(share(final, part.reading), 3) if part.answered else None,
    )
