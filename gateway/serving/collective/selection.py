"""Step 1: which registered devices are asked, from what they say of themselves and how they did."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from gateway.core.collective.options import Pick
from gateway.core.collective.quorum import step_deadline
from gateway.core.collective.selection import (
    Candidate,
    Caps,
    Selection,
    choose,
    obstacle,
)
from gateway.core.devices.member import Member
from gateway.core.ports import Members
from gateway.core.state.operations import Mean
from gateway.serving.collective.fit import Fit
from gateway.serving.collective.memory_values import KnownBefore
from gateway.serving.collective.options import CollectiveRequest, prompt_tokens
from gateway.serving.collective.pace import IN_VAIN
from gateway.serving.collective.policy import CollectivePolicy

MOST_COMPARED = 1024
"""Members that are compared with one question, which is done while everybody waits."""
MOST_LOOKED_AT = 64
"""Members whose quality is read: the ones that fit best, however many have registered."""


def eligible(
    members: Members, pick: Pick, owner: str, question: str, always: str = ""
) -> list[Member]:
    """Those that may be asked; of very many, others for each question, with `always` among them."""
    found = [m for m in members.members() if obstacle(m, pick, owner) is None]
    if len(found) <= MOST_COMPARED:
        return found
    turn = crc32(question.encode("utf-8", "replace"))
    found.sort(key=lambda m: (m.id != always, crc32(m.id.encode(), turn)))
    return found[:MOST_COMPARED]


def closest(members: Sequence[Member], fit: Fit, always: str) -> list[Member]:
    """The members to look at, those that fit best first."""
    ranked = sorted(members, key=lambda m: (m.id != always, -fit.similarity.get(m.id, 0.0), m.id))
    return ranked[:MOST_LOOKED_AT]


def select(
    asked: CollectiveRequest,
    members: Sequence[Member],
    fit: Fit,
    known: KnownBefore,
    policy: CollectivePolicy,
    always: str,
) -> Selection:
    options = asked.options
    caps = Caps(
        members=options.max_members,
        seconds=step_deadline(0.0, options.deadline_s, options.rounds + 1),
        tokens=float("inf") if options.max_tokens is None else float(options.max_tokens),
        cost=float("inf") if options.max_cost is None else options.max_cost,
        price=policy.prices.per_token("device"),
    )
    candidates = [_candidate(asked, member, fit, known) for member in members]
    return choose(candidates, caps, policy.prior, always)


def _candidate(asked: CollectiveRequest, member: Member, fit: Fit, known: KnownBefore) -> Candidate:
    # Half of what it may say, where nobody has seen it answer yet.
    answer = _expected(known.tokens.get(member.id), asked.sampling["max_tokens"] / 2)
    return Candidate(
        member=member,
        similarity=fit.similarity.get(member.id, 0.0),
        quality=known.quality.get(member.id, Mean()),
        seconds=_expected(known.seconds.get(member.id), member.condition.round_trip_s),
        tokens=prompt_tokens(asked.with_last(asked.question))
        + min(answer, float(asked.sampling["max_tokens"])),
        familiar=member.id in known.familiar,
    )


def _expected(mean: Mean | None, otherwise: float) -> float:
    # Once waited for in vain says too little to leave a member out for it.
    return mean.value if mean is not None and mean.weight > IN_VAIN else otherwise
