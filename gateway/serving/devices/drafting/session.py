"""One session: an answer by an engine, for which a device drafts, from `open` to `done`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from gateway.core.bodies.body import prompt_chars_and_key
from gateway.core.outcome import Outcome
from gateway.core.ports import Clock, SessionTelemetry, Verification
from gateway.core.privacy import PrivacyTerms
from gateway.core.routing.routing import Choice
from gateway.core.speculation.job import Batch, DraftFacts, Job
from gateway.core.speculation.outcome import SessionOutcome
from gateway.core.speculation.session import SessionState
from gateway.core.tier import Tier
from gateway.core.types import Caller, InferenceRequest
from gateway.core.upstream_errors import continuation_refused, engine_failed
from gateway.errors import GatewayError, InvalidRequest, UpstreamError, error_place
from gateway.protocol.device_link.speculation import Draft, Open
from gateway.protocol.headers import harmless_id
from gateway.protocol.paths import COMPLETIONS
from gateway.protocol.virtual_models import OF_TIER
from gateway.serving.chain.chains import Chains, ChainTurn, ChainWish
from gateway.serving.chain.verification import ChainVerification
from gateway.serving.devices.drafting.drafts import DraftForwarder
from gateway.serving.devices.drafting.reply import SessionReply
from gateway.serving.devices.drafting.session_jobs import SessionJobs
from gateway.serving.devices.drafting.verified_tokens import AnswerEnd, TokenRelay
from gateway.serving.devices.outbox import Outbox
from gateway.serving.requests.admission import Admission
from gateway.serving.requests.attempts import (
    Attempts,
    EndpointSlot,
    note_attempt,
    note_first_bytes,
)
from gateway.serving.requests.lifecycle import AdmissionSlot, Lifecycle, error_kind
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout, first_wait
from gateway.serving.requests.resumptions import Resumptions
from gateway.serving.requests.verifiers import VerifierEndpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftingDeps:
    """What every session needs. `new_id` gives hex digits that nobody can guess."""

    verifiers: VerifierEndpoints
    chains: Chains
    admission: Admission
    telemetry: SessionTelemetry
    clock: Clock
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]


class BadOpen(Exception):
    """An `open` frame whose fields contradict each other, or can't be read."""


class DraftingSession:
    """One answer by an engine, for which a device drafts.

    `run` it in a task of its own; cancelling that makes the engine give up its work. Frames of the
    device come in meanwhile, by `draft`.
    """

    def __init__(self, *, deps: DraftingDeps, frame: Open, device: str, outbox: Outbox) -> None:
        """Raises BadOpen."""
        self._deps = deps
        self._frame = frame
        self._tier = tier = Tier(frame.tier)
        privacy = deps.verifiers.privacy.classes[frame.privacy]
        id = harmless_id(frame.id) or deps.new_id()
        self._request = _request(frame, device, privacy, id, deps.clock.now())
        self._outcome = outcome = SessionOutcome(
            request=Outcome(request=self._request), device=device
        )
        self._state = state = SessionState(
            prompt=list(frame.prompt),
            sampling=msgspec.to_builtins(frame.sampling),
            verified=list(frame.verified),
        )
        self._reply = SessionReply(
            s=frame.s,
            outbox=outbox,
            state=state,
            outcome=outcome,
            decides=len(frame.through) + 1,
            tells_prompt=bool(frame.messages),
        )
        self._drafts = DraftForwarder(
            state=state,
            outcome=outcome,
            clock=deps.clock,
            count=partial(deps.telemetry.drafts, tier),
        )
        self._relay = TokenRelay(
            state=state,
            outcome=outcome.request,
            reply=self._reply,
            tier=tier,
            clock=deps.clock,
            idle_s=deps.timeouts.idle_s,
            telemetry=deps.telemetry,
            requests=deps.verifiers.telemetry,
        )
        self._last_turn: ChainTurn | None = None
        self._jobs = SessionJobs(
            frame=frame, state=state, verifier=deps.verifiers.verifier, relay=self._relay
        )

    def count_received(self, size: int) -> None:
        """Count a frame of `size` bytes that was about this session."""
        self._outcome.bytes_up += size

    def draft(self, frame: Draft) -> None:
        """Hand drafts on to the verifier. Raises DraftRefused."""
        self._drafts.handle(frame)

    def mute(self) -> None:
        """The connection ends: the device is told nothing more."""
        self._reply.mute()

    def confirm_cancelled(self) -> None:
        """Tell the device that its session was cancelled, unless it has been told another end."""
        self._reply.done("cancelled")

    async def run(self) -> None:
        """To the end of the answer. Errors are told to the device, and not raised."""
        deps, outcome = self._deps, self._outcome.request
        deps.telemetry.session_started(self._tier)
        with Lifecycle(outcome, deps.clock, self._report):
            try:
                async with AdmissionSlot(deps.admission, outcome):
                    await self._answer()
            except asyncio.CancelledError:
                self.confirm_cancelled()
                raise
            except GatewayError as error:
                self._fail(error, error.message)
            except Exception as error:
                self._outcome.problem = f"{type(error).__name__} at {error_place(error)}"
                self._fail(error, "the gateway failed on this session; its log says where")

    def _fail(self, error: Exception, message: str) -> None:
        kind = self._outcome.request.kind = error_kind(error)
        param = error.param if isinstance(error, GatewayError) else None
        self._reply.fail(kind, message, param)

    def _report(self, request: Outcome) -> None:
        outcome, state = self._outcome, self._state
        request.completion_tokens = len(state.verified) - len(self._frame.verified)
        outcome.drafted, outcome.accepted = state.drafted, state.accepted
        outcome.steps = state.steps
        self._deps.telemetry.session_ended(self._tier, outcome)

    async def _answer(self) -> None:
        verifiers, state, clock = self._deps.verifiers, self._state, self._deps.clock
        attempts = verifiers.attempts(self._outcome.request.request.caller.id)
        with Resumptions("draft", verifiers.telemetry) as resumptions:
            if state.verified:
                resumptions.broke("gateway_lost")
            while self._relay.end is None:
                choice = self._choose(attempts)
                with attempts.at(choice) as slot:
                    slot.resumable = verifiers.continues
                    note_attempt(self._outcome.request, choice, clock.now())
                    state.resume()
                    try:
                        await self._answer_at(slot, attempts, resumptions)
                    except UpstreamError as error:
                        slot.begun = len(state.verified) > state.resumed_at
                        if slot.begun:
                            resumptions.broke(error.code)
                        raise
                    finally:
                        self._drafts.disconnect()
        request = self._outcome.request
        request.status, request.prompt_tokens = 200, request.prompt_tokens or len(state.prompt)
        self._reply.done(*self._relay.end)

    def _choose(self, attempts: Attempts) -> Choice:
        """Raises what `VerifierEndpoints.choose` does."""
        choose = self._deps.verifiers.choose
        try:
            return choose(self._request, self._tier, self._frame.tokenizer, attempts)
        except GatewayError:
            if not attempts.return_to_broken():
                raise
            return choose(self._request, self._tier, self._frame.tokenizer, attempts)

    async def _answer_at(
        self, slot: EndpointSlot, attempts: Attempts, resumptions: Resumptions
    ) -> None:
        """Until the answer is complete. Raises UpstreamError where the endpoint fails before."""
        engine, timeouts, request = slot.choice.state, self._deps.timeouts, self._request
        verifiers, tokenizer = self._deps.verifiers, self._frame.tokenizer
        others = partial(verifiers.alternative, request, self._tier, tokenizer, attempts)
        try:
            with ProgressTimeout(self._deps.clock.now) as timeout:
                timeout.expect(*first_wait(engine.endpoint.id, timeouts.first_token_s))
                with attempts.first_token_wait(
                    slot, timeout, choose=others, prompt_chars=request.prompt_chars
                ):
                    if (verification := await self._open(slot)) is None:
                        return
                    first = await verification.read()
                    if not self._state.prompt:
                        self._learn_prompt(slot, verification, first)
                note_first_bytes(self._outcome.request, engine, self._deps.clock.now())
                if first is not None and first.ids:
                    self._outcome.request.resumptions += resumptions.went_on()
                with verifiers.failover.next_piece_wait(
                    engine, timeout, choose=others, idle_s=timeouts.idle_s
                ):
                    await self._relay.run(verification, first, timeout, engine)
        except UpstreamError:
            if self._relay.end is None:
                raise

    async def _open(self, slot: EndpointSlot) -> Verification | None:
        """Start the answer at the endpoint, or go on with it there; None where it is complete."""
        choice, state = slot.choice, self._state
        turn = self._turn(choice)
        await self._jobs.prepare(choice, needs_ids=turn is not None and bool(turn.used))
        try:
            job = await self._jobs.job(choice, self._deps.new_id())
            if job is None:
                self._relay.end = AnswerEnd("length")
                return None
            verification = await self._start(slot, job, turn)
        except InvalidRequest as error:
            if state.resumed_at:
                raise continuation_refused(choice.state.endpoint.id) from error
            raise
        if state.prompt:
            self._opened(slot, verification)
        self._drafts.connect(verification.draft)
        return verification

    def _learn_prompt(
        self, slot: EndpointSlot, verification: Verification, first: Batch | None
    ) -> None:
        """From the first batch for messages. Raises UpstreamError."""
        if first is None or not first.prompt:
            endpoint = slot.choice.state.endpoint.id
            raise engine_failed(endpoint, "sent no ids of the prompt that the messages became")
        self._state.prompt = first.prompt
        self._opened(slot, verification)

    def _opened(self, slot: EndpointSlot, verification: Verification) -> None:
        choice, verifier = slot.choice, self._deps.verifiers.verifier
        self._reply.opened(
            model=choice.model,
            endpoint=choice.state.endpoint.id,
            per_step=_per_step(verification, verifier.facts(choice.state.endpoint)),
            prompt=self._state.prompt if self._frame.messages else (),
        )

    def _turn(self, choice: Choice) -> ChainTurn | None:
        """Of the tiers in the middle at an answer of this endpoint; None where it has none."""
        frame, chains, verifier = self._frame, self._deps.chains, self._deps.verifiers.verifier
        if not frame.through:
            return None
        if not verifier.facts(choice.state.endpoint).per_step:
            names = (Tier.DEVICE, *frame.through, self._tier)
            chains.unused("-".join(names), "endpoint-takes-no-drafts")
            return None
        wish = ChainWish(
            through=frame.through,
            below=Tier.DEVICE,
            last=self._tier,
            model=choice.model,
            request=self._request,
            tokenizer=frame.tokenizer,
        )
        self._last_turn = turn = chains.turn(wish, self._last_turn)
        return turn

    async def _start(self, slot: EndpointSlot, job: Job, turn: ChainTurn | None) -> Verification:
        """The answer at the endpoint; with tiers in the middle, which begin before it has
        accepted."""
        verifier, endpoint = self._deps.verifiers.verifier, slot.choice.state.endpoint
        early = verifier.early(endpoint, job.session)
        if turn is None:
            if early is not None:
                self._drafts.connect(early)
            verification = slot.answer = await verifier.open(endpoint, job)
            return verification
        ahead = partial(self._reply.ahead, len(self._state.verified))
        chain = self._deps.chains.open(turn, job, ahead)
        answer = slot.answer = ChainVerification(chain)
        vocabulary = verifier.facts(endpoint).vocabulary
        if early is not None:
            chain.connect(early, vocabulary)
        self._drafts.connect(answer.draft)
        last = await verifier.open(endpoint, job)
        answer.connect(last)
        chain.connect(last.draft, vocabulary)
        return answer


def _per_step(verification: Verification, facts: DraftFacts) -> int:
    """What a step takes where the device's drafts go first; `facts` are the last tier's."""
    first = verification.per_step if isinstance(verification, ChainVerification) else None
    return first or facts.per_step


def _request(
    frame: Open, device: str, privacy: PrivacyTerms, id: str, now: float
) -> InferenceRequest:
    """The session as the routing sees it. Raises BadOpen."""
    if bool(frame.prompt) == bool(frame.messages):
        raise BadOpen("give either prompt (token ids) or messages, and not both")
    try:
        chars, key = prompt_chars_and_key({"messages": frame.messages, "prompt": frame.prompt})
    except RecursionError:
        raise BadOpen("messages: nested too deeply") from None
    return InferenceRequest(
        id=id,
        path=COMPLETIONS,
        model=frame.model or OF_TIER[frame.tier],
        body=b"",
        received=now,
        stream=True,
        prompt_chars=chars,
        prefix_key=key,
        max_tokens=frame.sampling.max_tokens,
        privacy=privacy,
        caller=Caller(id=f"device {device}"),
    )
