"""One tier in the middle of a chain: a verifier to who drafts below, a drafter to who is above."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from gateway.core.ports import Verification
from gateway.core.routing.routing import RETRY_AFTER_S, Choice
from gateway.core.speculation.chain_report import MiddleTierReport
from gateway.core.speculation.job import Batch, DraftFacts, DraftRun, Job
from gateway.core.speculation.lead import Lead
from gateway.core.speculation.run_of_rest import run_of_rest
from gateway.core.tier import Tier
from gateway.core.types import InferenceRequest
from gateway.core.upstream_errors import aborted, idle_timeout
from gateway.errors import GatewayError, Overloaded, UpstreamError, error_place
from gateway.serving.requests.attempts import Attempts, EndpointSlot
from gateway.serving.requests.progress_timeout import AnswerTimeouts, ProgressTimeout, first_wait
from gateway.serving.requests.verifiers import VerifierEndpoints, room_for_answer

ENDPOINTS = 2
"""Endpoints that are asked for one answer: one more where the first fails."""

REMEMBERED = 32
"""Runs of drafts from below that are offered again to a new stream."""

SHAPES = ("ignore_eos", "min_tokens", "logit_bias", "repetition_penalty")
"""Fields of sampling that shape even a greedy answer, and hold for any part of it."""

log = structlog.get_logger("tierflow.chain")


class _Ended(Exception):
    """The stream under way is of no use any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddleTierTerms:
    """The answer that a tier in the middle is to write: `request` as the routing sees it, `prompt`
    the ids before it, `sampling` as the tier that verifies has it. `tier` None: it is a model,
    wherever it is served."""

    request: InferenceRequest
    tier: Tier | None
    tokenizer: str
    prompt: Sequence[int]
    sampling: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class MiddleTier:
    """A tier in the middle, for one answer, at this `place` of its chain. It never raises, and
    nobody waits for it. `facts` are of the endpoint that is at work.

    `leave(runs)` hands drafts to the tier above; `tell(position, ids)` tells the tier below that
    the text from `position` on is `ids` now. `start` it in the event loop, and `close` it.
    """

    place: int
    verifiers: VerifierEndpoints
    timeouts: AnswerTimeouts
    new_id: Callable[[], str]
    terms: MiddleTierTerms
    leave: Callable[[Sequence[DraftRun]], bool]
    tell: Callable[[int, Sequence[int]], None]
    lead: Lead
    report: MiddleTierReport
    facts: DraftFacts = DraftFacts()
    alive: bool = True
    _below: deque[DraftRun] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _verification: Verification | None = None
    _timeout: ProgressTimeout | None = None
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    @property
    def leads(self) -> bool:
        """Whether it has anything beyond what is decided above."""
        return self.alive and self.lead.size > 0

    def draft(self, runs: Sequence[DraftRun]) -> bool:
        """Drafts from below. They wait where no stream is under way; False: they are lost."""
        self._below.extend(runs)
        if self._verification is None:
            return self.alive
        return self._offer(self._verification, runs)

    def follow(self, position: int, ids: Sequence[int]) -> None:
        """The text above is from `position` on `ids`, and ends with them."""
        lead = self.lead
        length, streamed = len(lead.text), lead.streaming
        changed = lead.follow(position, ids)
        if changed is not None:
            self.report.rollbacks += changed < length
            self.tell(changed, lead.text[changed:])
        if streamed and not lead.streaming:
            self._end_stream()
        elif self._verification is not None and (run := lead.catch_up()) is not None:
            self._verification.draft([run])
        self._changed.set()

    def close(self) -> None:
        """Idempotent. The engine gives up its work."""
        self.alive = False
        self._end_stream()
        self._changed.set()

    def _end_stream(self) -> None:
        if self._verification is not None:
            self._verification.close()
            self._verification = None
        if self._timeout is not None:
            self._timeout.end(_Ended)

    async def _run(self) -> None:
        request = self.terms.request
        problem = ""
        try:
            attempts = self.verifiers.attempts(request.caller.id)
            for _ in range(ENDPOINTS):
                if self.alive:
                    await self._attempt(attempts)
        except GatewayError as error:
            problem = error.code
        except Exception as error:
            problem = "internal_error"
            where = f"{type(error).__name__} at {error_place(error)}"
            log.error("middle_tier_failed", id=request.id, tier=self.report.tier, problem=where)
        if self.alive:
            self.report.problem = problem or self.report.problem
            if self.report.streams:
                # One that was never there is told of by its endpoints' own lines.
                log.warning(
                    "middle_tier_lost",
                    id=request.id,
                    tier=self.report.tier,
                    cause=self.report.problem,
                )
            self.close()
            self.tell(self.lead.confirmed, ())

    async def _attempt(self, attempts: Attempts) -> None:
        """One endpoint. Raises GatewayError where there is none."""
        terms, report = self.terms, self.report
        choice = self.verifiers.choose(terms.request, terms.tier, terms.tokenizer, attempts)
        if choice.state.saturated:
            raise Overloaded(
                f"{report.tier} is busy with answers of its own",
                retry_after=RETRY_AFTER_S,
                code="overloaded",
            )
        report.endpoint, report.model = choice.state.endpoint.id, choice.model
        self.facts = self.verifiers.verifier.facts(choice.state.endpoint)
        with attempts.at(choice) as slot:
            slot.resumable = True
            streams = report.streams
            try:
                await self._streams(slot, attempts)
            except UpstreamError as error:
                report.problem = error.code
                slot.begun = report.streams > streams
                raise

    async def _streams(self, slot: EndpointSlot, attempts: Attempts) -> None:
        """One stream after the other, until the answer is over. Raises UpstreamError."""
        while self.alive:
            if self.lead.wants_stream:
                await self._stream(slot, attempts)
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _stream(self, slot: EndpointSlot, attempts: Attempts) -> None:
        engine, verifiers, timeouts = slot.choice.state, self.verifiers, self.timeouts
        endpoint, idle_s = engine.endpoint.id, timeouts.idle_s
        terms, now = self.terms, verifiers.clock.now
        others = partial(
            verifiers.alternative, terms.request, terms.tier, terms.tokenizer, attempts
        )
        job = self._job(slot.choice)
        self.lead.begin()
        try:
            with ProgressTimeout(now) as self._timeout:
                timeout = self._timeout
                timeout.expect(*first_wait(endpoint, timeouts.first_token_s))
                with attempts.first_token_wait(
                    slot, timeout, choose=others, prompt_chars=terms.request.prompt_chars
                ):
                    verification = await verifiers.verifier.open(engine.endpoint, job)
                    slot.answer = verification
                    self._connect(verification)
                    batch = await verification.read()
                self.report.streams += 1
                timeout.expect(idle_s, partial(idle_timeout, endpoint, idle_s))
                with verifiers.failover.next_piece_wait(
                    engine, timeout, choose=others, idle_s=idle_s
                ):
                    while batch is not None and self.alive:
                        engine.answered_at = now()
                        self._take(batch, endpoint)
                        if not self.lead.streaming:
                            break
                        timeout.extend(now() + idle_s)
                        batch = await verification.read()
                    else:
                        self.lead.finish()
        except _Ended:
            pass
        finally:
            self.lead.drop()
            self._timeout = self._verification = None
            if slot.answer is not None:
                slot.answer.close()
                slot.answer = None

    def _job(self, choice: Choice) -> Job:
        """For what comes after the text as it is now: greedy, as that is the likeliest to be what
        the tier above says, also where that samples."""
        terms, text = self.terms, self.lead.text
        prompt = [*terms.prompt, *text]
        rooms = [room_for_answer(choice, len(prompt)), self.lead.room]
        sampling: dict[str, Any] = {"temperature": 0.0}
        sampling |= {name: terms.sampling[name] for name in SHAPES if name in terms.sampling}
        if known := [room for room in rooms if room is not None]:
            sampling["max_tokens"] = min(known)
        if (least := sampling.get("min_tokens")) is not None:
            sampling["min_tokens"] = max(0, least - len(text))
        return Job(session=self.new_id(), model=choice.model, prompt=prompt, sampling=sampling)

    def _connect(self, verification: Verification) -> None:
        self._verification = verification
        if (run := self.lead.catch_up()) is not None:
            verification.draft([run])
        self._offer(verification, list(self._below))

    def _offer(self, verification: Verification, runs: Sequence[DraftRun]) -> bool:
        lead, vocabulary = self.lead, self.facts.vocabulary
        as_stream = [
            rest
            for run in runs
            if (rest := run_of_rest(run, lead.text, lead.start)) is not None
            and (vocabulary is None or max(rest[1]) < vocabulary)
        ]
        return bool(as_stream) and verification.draft(as_stream)

    def _take(self, batch: Batch, endpoint: str) -> None:
        """A batch of the stream: what is new of it goes up and down at once. Raises UpstreamError
        where the engine gave the answer up."""
        if new := self.lead.write(batch.ids):
            self.report.offered += len(new)
            self.leave([self.lead.upward(new)])
            self.tell(len(self.lead.text) - len(new), new)
        if batch.reason not in (None, "stop", "length"):
            raise aborted(endpoint)
