"""An answer that the device drafts and a server verifies."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Sequence

from gateway.protocol.device_link import speculation as wire
from services.device_agent.answers.answer import (
    AnswerPiece,
    AnswerReport,
    GenerationRequest,
    TokenOrigin,
)
from services.device_agent.answers.drafted_hop import DraftedHop
from services.device_agent.answers.problems import (
    ELSEWHERE,
    PERMANENT,
    RequestRefused,
    VerifierLost,
)
from services.device_agent.drafters.port import Burst, DrafterFailed, DraftStream, Guess
from services.device_agent.drafting.tree import (
    DraftRun,
    DraftTree,
    PositionMismatch,
    Slot,
    append_run,
)
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.connection import LinkLost
from services.device_agent.link.link import Link
from services.device_agent.link.session_channel import SessionChannel, SessionFrame

log = logging.getLogger("tierflow.device")

BURST = 8
"""Draft tokens at most before the device looks for frames from the gateway."""

FRAME_S = 0.004
"""Drafts of so long are sent in one frame, but for the next ones: each frame costs everybody on its
way."""

PATIENCE_S = 90.0
"""For the next token, on a link that is up: the gateway itself gives an engine up sooner."""

TRIAL_WINDOW = 2
TRIAL_TOKENS = 16
"""Where drafting does not pay, the first tokens of some answers are drafted without being sent, to
see whether it would pay."""


class VerifiedAnswer:
    """A speculative session at the gateway, seen from the device.

    `pieces` yields verified tokens as they come; `tree.verified` holds all of them, and before them
    those of earlier sessions (`verified`). Meanwhile the device drafts ahead and sends what it has
    drafted. `hop` tells of the tier that its drafts go to; `through` are the tiers in the middle.
    """

    def __init__(
        self,
        *,
        link: Link,
        hop: DraftedHop,
        thread: DraftingThread,
        stream: DraftStream,
        request: GenerationRequest,
        report: AnswerReport,
        end_tokens: frozenset[int],
        verified: Sequence[int] = (),
        through: tuple[wire.Tier, ...] = (),
    ) -> None:
        self._link = link
        self._hop = hop
        self._through = through
        self._thread = thread
        self._stream = stream
        self._request = request
        self._report = report
        end_tokens = frozenset() if request.sampling.ignore_eos else end_tokens
        trunk_only = request.window is not None
        self.tree = DraftTree(
            acceptance=hop.profile.acceptance,
            end_tokens=end_tokens,
            trunk_only=trunk_only,
            verified=verified,
        )
        self._drafted_before = report.drafted_tokens
        self._per_step = 0
        self._ended = False
        self._sends = False
        self._drafter_failed = False

    async def pieces(self, offer: wire.Offer, tokenizer: str) -> AsyncGenerator[AnswerPiece]:
        """`tokenizer` is the device's fingerprint. Raises RequestRefused, VerifierLost."""
        self._per_step = offer.per_step
        try:
            channel = await self._link.open()
        except LinkLost as exc:
            raise VerifierLost(str(exc), link=True) from exc
        try:
            await channel.send(
                wire.Open(
                    s=channel.number,
                    tier=offer.tier,
                    tokenizer=tokenizer,
                    prompt=self._request.prompt,
                    sampling=self._request.sampling,
                    model=offer.model,
                    verified=list(self.tree.verified),
                    privacy=self._request.privacy,
                    id=self._request.id,
                    through=self._through,
                )
            )
            while True:
                frames = channel.receive()
                self._hop.measure_step(frames)
                for frame in frames:
                    if piece := self._handle(frame):
                        yield piece
                if self._ended:
                    return
                if channel.lost is not None:
                    raise VerifierLost(channel.lost, link=True)
                if not await self._draft_and_send(channel) and not await channel.wait(PATIENCE_S):
                    raise VerifierLost(f"no token came for {PATIENCE_S:g} s")
        except LinkLost as exc:
            raise VerifierLost(str(exc), link=True) from exc
        finally:
            channel.release()
            if not self._ended and channel.lost is None:
                await self._cancel(channel)

    def _handle(self, frame: SessionFrame) -> AnswerPiece | None:
        if isinstance(frame, wire.Tokens):
            return self._handle_tokens(frame)
        if isinstance(frame, wire.Ahead):
            self._handle_ahead(frame)
        elif isinstance(frame, wire.Opened):
            self._report.endpoint = frame.endpoint
            self._per_step = frame.per_step
        elif isinstance(frame, wire.Done):
            self._handle_done(frame)
        elif frame.fatal:
            self._ended = True
            if frame.code in PERMANENT:
                raise RequestRefused(frame.code, frame.message, frame.param)
            raise VerifierLost(frame.message, link=frame.code in ELSEWHERE)
        return None

    def _handle_ahead(self, frame: wire.Ahead) -> None:
        if frame.i:
            self._hop.lead_came()
        self.tree.acceptance = self._hop.profile.acceptance
        self.tree.expect(frame.p, frame.i)

    def _handle_tokens(self, frame: wire.Tokens) -> AnswerPiece:
        tree, hop = self.tree, self._hop
        had_lead = bool(tree.lead)
        try:
            tree.verify(frame.p, frame.i, learns=not hop.led)
        except PositionMismatch as exc:
            raise VerifierLost(f"the gateway's tokens have a gap: {exc}") from exc
        hop.tokens_came(len(frame.i), lead=had_lead)
        tree.acceptance = hop.profile.acceptance
        origins = self._origins(frame)
        self._report.verified_tokens += len(frame.i)
        self._report.accepted_tokens += origins.count("draft")
        self._report.middle_tokens.update(name for name in origins if name in self._through)
        return AnswerPiece(frame.i, origins)

    def _origins(self, frame: wire.Tokens) -> list[TokenOrigin]:
        if not frame.w:
            origins: list[TokenOrigin] = ["draft"] * frame.d
            origins += ["verifier"] * (len(frame.i) - frame.d)
            return origins
        names: list[TokenOrigin] = ["draft", *self._through, "verifier"]
        if len(frame.w) != len(frame.i) or max(frame.w) >= len(names):
            raise VerifierLost("the gateway's tokens do not tell who wrote them")
        return [names[place] for place in frame.w]

    def _handle_done(self, frame: wire.Done) -> None:
        self._ended = True
        self._report.drafted_tokens = self._drafted_before + frame.drafted
        self._report.finish_reason = "length" if frame.reason == "length" else "stop"
        self._report.stop_reason = frame.stop if frame.stop_token is None else frame.stop_token
        if frame.reason in ("error", "cancelled"):
            raise VerifierLost("the server ended the answer")

    async def _draft_and_send(self, channel: SessionChannel) -> bool:
        """Draft and send one frame at most; returns whether there was anything to draft."""
        end = time.monotonic() + FRAME_S
        runs: list[DraftRun] = []
        worked = False
        while channel.rate_limit.allows(time.monotonic()):
            window = self._window()
            slot = self.tree.best(window)
            if slot is None:
                break
            # What the verifier lacks first must not wait for what it may never need.
            urgent = self.tree.is_near(slot)
            most = 1 if urgent else min(BURST, window - self.tree.depth(slot))
            if not await self._grow(slot, most, channel, runs):
                break
            worked = True
            full = len(runs) == wire.MAX_RUNS
            if urgent or full or channel.has_news or time.monotonic() > end:
                break
        if runs and self._sends:
            await self._send(channel, runs)
        return worked

    async def _grow(
        self, slot: Slot, most: int, channel: SessionChannel, runs: list[DraftRun]
    ) -> bool:
        """Draft at one slot of the tree; returns whether the drafter could."""
        guesses: list[Guess] = []
        if slot.token not in self.tree.end_tokens:
            try:
                guesses = await self._draft(slot, most, channel)
            except DrafterFailed as exc:
                log.warning("no more drafts for this answer: %s", exc)
                self._drafter_failed = True
                return False
        if (run := self.tree.grow(slot, guesses)) is not None:
            append_run(runs, run)
        return True

    def _window(self) -> int:
        """Tokens to be ahead of the verified text now; decides whether to send them, too."""
        if self._drafter_failed:
            return 0
        fixed = self._request.window
        if fixed is not None:
            self._sends = fixed > 0 and self._per_step > 0
            return fixed if self._sends else 0
        verifier, drafter = self._hop.profile, self._thread.drafter
        inputs = verifier.speedup_inputs(
            draft_s=drafter.step_s,
            link_s=self._link.probes.round_trip_s,
            per_step=self._per_step,
        )
        self._sends = self._per_step > 0 and verifier.decide(inputs)
        if self._sends:
            # What a gateway takes ahead of the verified text is bounded, lead and drafts together.
            return min(verifier.window(inputs), wire.MAX_AHEAD_TOKENS - len(self.tree.lead))
        tries = self._hop.is_trial and len(self.tree.verified) < TRIAL_TOKENS
        return TRIAL_WINDOW if tries else 0

    async def _draft(self, slot: Slot, most: int, channel: SessionChannel) -> list[Guess]:
        leaves_branch = self.tree.pursue(slot)

        def enough(guess: Guess) -> bool:
            return leaves_branch(guess) or channel.has_news

        text = [*self._request.prompt, *self.tree.text(slot)]
        burst = Burst(text=text, count=self._thread.burst(most), stop=enough)
        return await self._thread.draft(self._stream, burst)

    async def _send(self, channel: SessionChannel, runs: list[DraftRun]) -> None:
        first, *others = runs
        frame = wire.Draft(
            s=channel.number,
            p=first.position,
            i=first.token_ids,
            b=first.before,
            m=[wire.Run(run.position, run.token_ids, run.before) for run in others],
        )
        channel.rate_limit.spend(frame.weight)
        await channel.send(frame)
        self._report.drafted_tokens += sum(len(run.token_ids) for run in runs)

    async def _cancel(self, channel: SessionChannel) -> None:
        try:
            await channel.send(wire.Cancel(channel.number))
        except LinkLost:
            return
