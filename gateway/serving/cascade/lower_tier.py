"""The tiers below the top, asked so that their answers can be judged and handed up: a pool of the
gateway's own, or a registered device."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from gateway.core.devices.member import Member, WorkEnd, WorkOrder, may_see
from gateway.core.ports import EndpointSource, Members
from gateway.core.privacy import PrivacyTerms
from gateway.core.streams.chat_answer import completion_tokens, prompt_tokens
from gateway.errors import NoEndpoint
from gateway.serving.cascade.answers import (
    AnswerPiece,
    LowerAnswer,
    piece_of,
    rendered_prompt,
    usage_details,
)
from gateway.serving.cascade.options import ANY_DEVICE, CascadeRequest, StageSpec
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls, EngineReply

DEVICE_TOKENS = 256
DEVICE_WAIT_S = 30.0
MAX_DEVICE_CHARS = 64 * 1024


@dataclass(frozen=True, slots=True)
class LowerTier:
    """A lower stage that a pool answers."""

    calls: EngineCalls
    endpoints: EndpointSource

    async def whole(
        self, request: CascadeRequest, stage: StageSpec, deadline_s: float | None
    ) -> LowerAnswer:
        """Raises what `EngineCalls.whole` does."""
        body = _body(request, stage) | request.logprobs_fields()
        reply = await self.calls.whole(_call(request, stage, body, deadline_s))
        piece = piece_of(reply.choices[0], logprobs=bool(request.chat.body.logprobs))
        answer = self._begun(reply)
        answer.add(piece)
        answer.body, answer.parts = reply.body, piece.parts
        _count(answer, reply.body)
        answer.cut = request.cut_at_stage(answer.finish_reason, answer.completion_tokens)
        return answer

    async def stream(
        self, request: CascadeRequest, stage: StageSpec, deadline_s: float | None
    ) -> AsyncGenerator[tuple[LowerAnswer, AnswerPiece]]:
        """Each piece as it comes, with all that has come so far. The engine looks for no stop
        texts: the reader of the pieces must also find one that two models write together."""
        call = _call(request, stage, _body(request, stage, stops=False), deadline_s)
        answer: LowerAnswer | None = None
        async with aclosing(self.calls.stream(call)) as events:
            async for event in events:
                answer = answer or self._begun(event)
                _count(answer, event.body)
                for choice in event.choices:
                    piece = piece_of(choice, logprobs=False)
                    answer.add(piece)
                    tokens = answer.completion_tokens
                    answer.cut = request.cut_at_stage(answer.finish_reason, tokens)
                    if not piece.empty:
                        yield answer, piece

    def _begun(self, reply: EngineReply) -> LowerAnswer:
        state = next((s for s in self.endpoints.states() if s.endpoint.id == reply.endpoint), None)
        return LowerAnswer(
            model=reply.model,
            tier=reply.tier,
            endpoint=reply.endpoint,
            tokenizer=state.tokenizer if state is not None else None,
        )


@dataclass(frozen=True, slots=True)
class DeviceTier:
    """The lowest stage where a registered device answers. `members` is None where the gateway has
    no devices that take work."""

    members: Members | None

    def choose(self, request: CascadeRequest, stage: StageSpec) -> LowerAnswer:
        """The device that is to answer, as an empty answer of its model. Raises NoEndpoint, also
        for a request with fields that no device heeds."""
        if not request.for_devices:
            raise NoEndpoint(
                "no device heeds all fields of this request", retry_after=1.0, code="no_device"
            )
        member = self._choose(request.inference.privacy, stage)
        return LowerAnswer(
            model=member.models[0].name if member.models else member.id,
            tier="device",
            endpoint=member.id,
        )

    async def fill(
        self,
        answer: LowerAnswer,
        request: CascadeRequest,
        stage: StageSpec,
        deadline_s: float | None,
    ) -> None:
        """Have the chosen device answer. It tells no ids, and only the mean log-probability.

        Raises MemberFailed, and leaves in `answer` what had come until then. Cancelling it recalls
        the work.
        """
        assert self.members is not None
        order = WorkOrder(
            kind="generate",
            messages=request.messages,
            max_tokens=request.max_tokens_at(stage) or DEVICE_TOKENS,
            deadline_s=min(deadline_s or DEVICE_WAIT_S, DEVICE_WAIT_S),
            sampling=request.chat.sampling(),
            id=f"{request.inference.id}/draft",
        )
        work = self.members.assign(answer.endpoint, order)
        try:
            while not isinstance(part := await work.read(), WorkEnd):
                answer.text = (answer.text + part.text)[:MAX_DEVICE_CHARS]
                answer.completion_tokens += part.tokens
        finally:
            work.cancel()
        answer.finish_reason = part.reason
        answer.prompt_tokens = part.prompt_tokens
        answer.completion_tokens = part.completion_tokens
        answer.mean_logprob = part.logprob
        answer.cut = request.cut_at_stage(part.reason, part.completion_tokens)

    def _choose(self, privacy: PrivacyTerms, stage: StageSpec) -> Member:
        """The least busy one of those that are named, or of all; public ones only, as nobody has
        proven whose device it is."""
        members = self.members.members() if self.members is not None else ()
        able = [m for m in members if _able(m) and may_see(m, "", privacy)]
        if stage.devices != (ANY_DEVICE,):
            able = [member for member in able if member.id in stage.devices]
        free = [member for member in able if member.condition.working < member.max_work]
        if not free:
            raise NoEndpoint(
                "no registered device can take the question now",
                retry_after=1.0,
                code="no_device",
            )
        return _least_busy(free)


def _body(request: CascadeRequest, stage: StageSpec, *, stops: bool = True) -> dict[str, Any]:
    body = {**request.chat_fields(stops=stops), "logprobs": True, "return_token_ids": True}
    bound = request.max_tokens_at(stage)
    return body if bound is None else body | {"max_tokens": bound}


def _call(
    request: CascadeRequest, stage: StageSpec, body: dict[str, Any], deadline_s: float | None
) -> EngineCall:
    return EngineCall(
        parent=request.inference,
        part="draft",
        model=stage.model,
        body=body,
        demands=request.demands(deadline_s),
        # Where no endpoint can go on at once, the tier above does.
        way="cascade" if request.divisible else "",
        waits=False,
    )


def _count(answer: LowerAnswer, body: Mapping[str, Any]) -> None:
    answer.prompt_tokens = prompt_tokens(body) or answer.prompt_tokens
    answer.prompt = rendered_prompt(body, answer.prompt)
    answer.usage_details = usage_details(body, answer.usage_details)
    if counted := completion_tokens(body):
        answer.completion_tokens = max(counted, len(answer.token_ids))


def _able(member: Member) -> bool:
    return (
        member.privacy == "public" and "generate" in member.abilities and not member.condition.hot
    )


def _least_busy(members: Sequence[Member]) -> Member:
    return min(members, key=lambda m: (m.condition.working, m.condition.round_trip_s, m.id))
