"""A registered device as the lowest tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.devices.member import Member, WorkEnd, WorkOrder
from gateway.core.ports import Members
from gateway.errors import NoEndpoint
from gateway.serving.cascade.answers import LowerAnswer
from gateway.serving.cascade.lower_tier import ANY, StageSpec
from gateway.serving.cascade.options import CascadeRequest

TOKENS = 256
WAIT_S = 30.0
MAX_CHARS = 64 * 1024


@dataclass(frozen=True, slots=True)
class DeviceTier:
    """`members` is None where the gateway has no devices that take work."""

    members: Members | None

    def begin(self, tier: StageSpec) -> LowerAnswer:
        """The device that is to answer, as an answer without a word yet. Raises NoEndpoint."""
        member = self._choose(tier)
        return LowerAnswer(
            model=member.models[0].name if member.models else member.id,
            tier="device",
            endpoint=member.id,
        )

    async def finish(
        self, draft: LowerAnswer, asked: CascadeRequest, tier: StageSpec, deadline_s: float | None
    ) -> None:
        """A device tells no ids and only the mean log-probability. Raises MemberFailed, and leaves
        in `draft` what had come until then.

        Cancelling it recalls the work.
        """
        assert self.members is not None
        bounds = [bound for bound in (asked.most, tier.max_tokens) if bound is not None]
        order = WorkOrder(
            kind="generate",
            messages=asked.messages,
            max_tokens=min(bounds, default=TOKENS),
            deadline_s=min(deadline_s or WAIT_S, WAIT_S),
            sampling=asked.chat.sampling(),
        )
        work = self.members.assign(draft.endpoint, order)
        try:
            while not isinstance(said := await work.read(), WorkEnd):
                draft.text = (draft.text + said.text)[:MAX_CHARS]
                draft.tokens += said.tokens
        finally:
            work.cancel()
        draft.reason = said.reason
        draft.prompt_tokens, draft.tokens = said.prompt_tokens, said.completion_tokens
        draft.mean_logprob = said.logprob
        draft.cut = said.reason == "length" and (asked.most is None or draft.tokens < asked.most)

    def _choose(self, tier: StageSpec) -> Member:
        """Of those that are named, or of all, the least busy; public ones alone."""
        members = self.members.members() if self.members is not None else ()
        able = [member for member in members if _able(member)]
        if tier.devices != (ANY,):
            able = [member for member in able if member.id in tier.devices]
        free = [member for member in able if member.condition.working < member.max_work]
        if not free:
            raise NoEndpoint(
                "no registered device can take the question now",
                retry_after=1.0,
                code="no_device",
            )
        return _least_busy(free)


def _able(member: Member) -> bool:
    return (
        member.privacy == "public" and "generate" in member.abilities and not member.condition.hot
    )


def _least_busy(members: Sequence[Member]) -> Member:
    return min(members, key=lambda m: (m.condition.working, m.condition.round_trip_s, m.id))
