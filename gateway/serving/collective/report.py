"""The `tierflow` object of a reply, and what a final answer says of the members that took part."""

from __future__ import annotations

from typing import Any

from gateway.core.collective.answers import Reading, comparable, share
from gateway.core.collective.lessons import (
    MEMBERS_DECIDED,
    is_evidence,
    lessons_from_agreement,
    lessons_from_failures,
)
from gateway.core.collective.report import Contribution, Report
from gateway.core.prices import Prices
from gateway.protocol.requests.collective import AggregatorBlock, CollectiveBlock, MemberBlock
from gateway.serving.collective.aggregation import FinalAnswer
from gateway.serving.collective.memory import Evidence
from gateway.serving.collective.options import CollectiveRequest


def evidence(request: CollectiveRequest, report: Report, final: Reading) -> Evidence:
    """What the final answer says of its members, and what of that a caller may judge."""
    shares = _shares(report, final)
    if not is_evidence(report, named=bool(request.options.filter.ids)):
        return Evidence(shares=shares)
    vague = [p.device for p in _first_answers(report) if not comparable(final, p.reading)]
    decided_by_members = report.decided_by in MEMBERS_DECIDED
    lessons = [
        *lessons_from_agreement(shares, decided_by_members=decided_by_members, vague=vague),
        *lessons_from_failures(report),
    ]
    return Evidence(shares=shares, lessons=lessons, judged=shares, vague=vague)


def reply_block(report: Report, final: FinalAnswer, prices: Prices) -> dict[str, Any]:
    """The reply's `tierflow` object."""
    reading = Reading(final.text)
    aggregator = None
    if report.aggregator is not None:
        model, tier = report.aggregator
        aggregator = AggregatorBlock(
            model=model, tier=tier, template=final.template, calls=report.server_calls
        )
    block = CollectiveBlock(
        mode=report.mode,
        decided_by=final.decided_by,
        members=[_member_block(contribution, reading) for contribution in report.contributions],
        aggregator=aggregator,
        quorum=report.quorum,
        rounds=report.rounds,
        domain=report.domain,
        early_exit=report.early_exit,
        degraded=report.degraded,
        fallback=report.fallback,
        disagreement=report.disagreement,
        cost=round(_cost(report, prices), 6),
        ms={step: round(seconds * 1000.0, 1) for step, seconds in report.steps.items()},
        unknown_members=report.unknown or None,
        resumed=report.resumed,
    )
    return {"collective": block.model_dump(exclude_none=True)}


def _shares(report: Report, final: Reading) -> dict[str, float]:
    """The share of the final text that each device's first answer agrees with, by device."""
    if report.mode != "members":
        return {}
    return {
        contribution.device: share(final, contribution.reading)
        for contribution in _first_answers(report)
    }


def _first_answers(report: Report) -> list[Contribution]:
    return [
        contribution
        for contribution in report.contributions
        if contribution.answered and contribution.role == "answer"
    ]


def _cost(report: Report, prices: Prices) -> float:
    return sum(prices.of(tier, tokens) for (tier, _), tokens in report.spent.items())


def _member_block(contribution: Contribution, final: Reading) -> MemberBlock:
    return MemberBlock(
        device=contribution.device,
        role=contribution.role,
        round=contribution.round,
        outcome=contribution.outcome,
        code=contribution.code,
        ms=round(contribution.seconds * 1000.0, 1),
        prompt_tokens=contribution.prompt_tokens,
        tokens=contribution.completion_tokens,
        share=round(share(final, contribution.reading), 3) if contribution.answered else None,
    )
