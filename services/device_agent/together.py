"""An answer that the device drafts and a server verifies."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator

from gateway.protocol import speculation as wire
from services.device_agent.answer import Ask, Piece, Report
from services.device_agent.channel import Channel
from services.device_agent.drafters.port import DrafterFailed, DraftStream, Guess
from services.device_agent.drafting.tree import DraftTree, Outgoing, OutOfStep, Slot, join
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link import Link, LinkLost
from services.device_agent.partner import Partner

log = logging.getLogger("tierflow.device")

BURST = 8
GATHER_S = 0.002
"""Drafting for so long is sent in one frame; each frame costs everybody on its way."""

PATIENCE_S = 90.0
"""For the next token, on a link that is up: the gateway itself gives an engine up sooner."""

SHADOW_WINDOW = 2
SHADOW_TOKENS = 16
"""Where drafting does not pay, the first tokens of some answers are guessed unsent, to see
whether it would."""


class Refused(Exception):
    """The gateway takes this request from nobody: `code` and the message tell why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class VerifierLost(Exception):
    """No more verified tokens will come for this answer; it is for the device to go on."""


class Collaboration:
    """One session. `pieces` gives verified tokens as they come; `tree.verified` is all so far."""

    def __init__(
        self,
        link: Link,
        partner: Partner,
        thread: DraftingThread,
        stream: DraftStream,
        ask: Ask,
        report: Report,
        end_tokens: frozenset[int],
    ) -> None:
        self._link = link
        self._partner = partner
        self._thread = thread
        self._stream = stream
        self._ask = ask
        self._report = report
        ends = frozenset() if ask.ignore_eos else end_tokens
        self.tree = DraftTree(partner.acceptance, ends, trunk_only=ask.window is not None)
        self._per_step = 0
        self._last_tokens = 0.0
        self._done = False
        self._sends = False
        self._broken = False
        self._shadows = partner.looks_again()

    async def pieces(self, offer: wire.Offer, tokenizer: str) -> AsyncGenerator[Piece]:
        """Raises Refused, VerifierLost."""
        self._per_step = offer.per_step
        ask = self._ask

        def request(number: int) -> wire.Open:
            sampling = sampling_of(ask)
            return wire.Open(
                number, offer.tier, tokenizer, ask.prompt, sampling=sampling, model=offer.model
            )

        try:
            channel, opening = await self._link.open(request)
        except LinkLost as exc:
            raise VerifierLost(str(exc)) from exc
        try:
            await self._link.send(opening)
            while True:
                frames = channel.take()
                self._pace_of(sum(isinstance(frame, wire.Tokens) for frame in frames))
                for frame in frames:
                    if piece := self._heard(frame):
                        yield piece
                if self._done:
                    return
                if channel.lost is not None:
                    raise VerifierLost(channel.lost)
                if not await self._work(channel) and not await channel.wait(PATIENCE_S):
                    raise VerifierLost(f"no token came for {PATIENCE_S:g} s")
        except LinkLost as exc:
            raise VerifierLost(str(exc)) from exc
        finally:
            self._link.close(channel)
            if not self._done and channel.lost is None:
                await self._cancel(channel.number)

    def _heard(self, frame: wire.Opened | wire.Tokens | wire.Done | wire.Error) -> Piece | None:
        if isinstance(frame, wire.Tokens):
            return self._verified(frame)
        if isinstance(frame, wire.Opened):
            self._report.endpoint = frame.endpoint
            self._per_step = frame.per_step
        elif isinstance(frame, wire.Done):
            self._ended(frame)
        elif frame.fatal:
            self._done = True
            if frame.code in PERMANENT:
                raise Refused(frame.code, frame.message)
            raise VerifierLost(frame.message)
        return None

    def _pace_of(self, steps: int) -> None:
        """Learn the verifier's pace from the frames of tokens that have just come."""
        if steps:
            now = time.monotonic()
            if self._last_tokens:
                self._partner.gap(now - self._last_tokens, steps)
            self._last_tokens = now

    def _verified(self, frame: wire.Tokens) -> Piece:
        try:
            self.tree.verify(frame.p, frame.i)
        except OutOfStep as exc:
            raise VerifierLost(f"the gateway's tokens have a gap: {exc}") from exc
        self._report.verified += len(frame.i)
        self._report.accepted += frame.d
        by = ["draft"] * frame.d + ["verifier"] * (len(frame.i) - frame.d)
        return Piece(frame.i, by)  # type: ignore[arg-type]

    def _ended(self, frame: wire.Done) -> None:
        self._done = True
        self._report.drafted = frame.drafted
        self._report.accepted = frame.accepted
        self._report.reason = "length" if frame.reason == "length" else "stop"
        if frame.reason in ("error", "cancelled"):
            raise VerifierLost("the server ended the answer")

    async def _work(self, channel: Channel) -> bool:
        """Draft and send a little; gives whether there was anything to do."""
        # Nothing drafted yet: the verifier is alone until the first tokens are there.
        urgent = self.tree.nodes == 0
        end = time.monotonic() + GATHER_S
        gathered: list[Outgoing] = []
        worked = False
        while self._link.allowance.has(time.monotonic()):
            grown = await self._grow(channel, gathered)
            worked = worked or grown
            full = len(gathered) == wire.MAX_RUNS
            if urgent or not grown or full or channel.has_news or time.monotonic() > end:
                break
        if gathered and self._sends:
            await self._send(channel, gathered)
        return worked

    async def _grow(self, channel: Channel, gathered: list[Outgoing]) -> bool:
        """Draft at one place of the tree; gives whether there was one."""
        tree, window = self.tree, self._window()
        slot = tree.best(window)
        if slot is None:
            return False
        guesses: list[Guess] = []
        if slot.token not in tree.end_tokens:
            try:
                guesses = await self._draft(slot, min(BURST, window - tree.depth(slot)), channel)
            except DrafterFailed as exc:
                log.warning("no more drafts for this answer: %s", exc)
                self._broken = True
                return False
        if (outgoing := tree.grow(slot, guesses)) is not None:
            join(gathered, outgoing)
        return True

    def _window(self) -> int:
        """Tokens to be ahead of the verified text now; decides whether to send them, too."""
        if self._broken:
            return 0
        if self._ask.window is not None:
            self._sends = self._ask.window > 0 and self._per_step > 0
            return self._ask.window if self._sends else 0
        partner, drafter = self._partner, self._thread.drafter
        pace = partner.pace(drafter.step_s, self._link.probes.round_trip_s, self._per_step)
        self._sends = self._per_step > 0 and partner.decide(pace)
        if self._sends:
            return partner.window(pace)
        looks = self._shadows and len(self.tree.verified) < SHADOW_TOKENS
        return SHADOW_WINDOW if looks else 0

    async def _draft(self, slot: Slot, most: int, channel: Channel) -> list[Guess]:
        spent = self.tree.pursue(slot)

        def enough(guess: Guess) -> bool:
            return spent(guess) or channel.has_news

        whole = [*self._ask.prompt, *self.tree.text(slot)]
        return await self._thread.draft(self._stream, whole, self._thread.burst(most), enough)

    async def _send(self, channel: Channel, gathered: list[Outgoing]) -> None:
        first, *more = gathered
        runs = [wire.Run(each.position, each.tokens, each.before) for each in more]
        frame = wire.Draft(channel.number, first.position, first.tokens, first.before, runs)
        self._link.allowance.spend(frame.weight)
        await self._link.send(frame)
        self._report.drafted += sum(len(each.tokens) for each in gathered)

    async def _cancel(self, number: int) -> None:
        try:
            await self._link.send(wire.Cancel(number))
        except LinkLost:
            return


PERMANENT = frozenset(
    {"bad_open", "tokenizer_differs", "model_not_found", "prompt_too_long", "engine_refused"}
)
"""Errors that another try, or another way to answer, would not mend."""


def sampling_of(ask: Ask) -> wire.Sampling:
    return wire.Sampling(
        temperature=ask.temperature,
        top_p=ask.top_p,
        top_k=ask.top_k,
        seed=ask.seed,
        max_tokens=ask.max_tokens,
        stop=list(ask.stop),
        ignore_eos=ask.ignore_eos,
    )
