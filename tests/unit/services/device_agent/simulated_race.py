"""Answers in virtual time: the real agent's drafting on the device, the real mailbox at the engine.

Only what the ideal race counts takes time: steps, drafting and the link. So what an answer takes
longer than in the ideal race is lost by how the agent drafts and sends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from gateway.protocol.device_link import speculation as wire
from gateway.protocol.requests.sampling import Sampling
from loadtest.speculation.ideal.agreement import Agreement, draw
from loadtest.speculation.ideal.race import RaceTimes
from services.device_agent.answers import drafted_hop, verified_answer
from services.device_agent.answers.answer import AnswerReport, GenerationRequest
from services.device_agent.answers.drafted_hop import DraftedHop
from services.device_agent.answers.verified_answer import VerifiedAnswer
from services.device_agent.answers.verifier_profile import VerifierProfile
from services.device_agent.drafters.port import Chooser, Guess
from services.device_agent.drafting.rate_limit import DraftRateLimit
from services.device_agent.drafting_thread import DraftingThread
from services.device_agent.link.link import Link
from services.device_agent.link.session_channel import SessionChannel
from services.vllm_server.race.branches import Branches
from tests.unit.services.device_agent.virtual_time import VirtualLoop, virtual_loop

SESSION = "0123456789abcdef"
PROMPT = [1, 2, 3, 4]
CONFIDENCE = 0.9
IN_PLACE_S = 0.002
"""A drafter that is slower drafts in a thread, as the one that is slowed down for benchmarks."""


@dataclass(frozen=True)
class Setting:
    """Times in milliseconds. `acceptance`: how often the first guess is right after a right text;
    `second`: how often the second one is, where the first is not. `window` None: it adapts."""

    acceptance: float = 0.95
    second: float = 0.5
    round_trip: float = 20.0
    step: float = 5.0
    draft: float = 0.3
    window: int | None = None
    per_step: int = 16
    tokens: int = 60
    seed: int = 0

    @property
    def times(self) -> RaceTimes:
        return RaceTimes(
            step_s=1e-3 * self.step,
            draft_s=1e-3 * self.draft,
            round_trip_s=1e-3 * self.round_trip,
            per_step=self.per_step,
        )

    @property
    def agreements(self) -> list[Agreement]:
        dice = random.Random(f"agreement {self.seed}")
        return draw(self.acceptance, self.second, self.tokens, dice)

    @property
    def truth(self) -> list[int]:
        dice = random.Random(self.seed)
        return [dice.randrange(900) for _ in range(self.tokens)]


@dataclass
class Outcome:
    """`generated` at the engine, with the time of each token, in seconds; `verified` on the
    device, which has drafted or not, `frames` of them with `sent` tokens."""

    generated: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    verified: list[int] = field(default_factory=list)
    steps: int = 0
    frames: int = 0
    sent: int = 0

    @property
    def tpot_s(self) -> float:
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


class TrueDrafter:
    """A drafter that agrees with an answer where it is told to. The same for the same text."""

    name, context, least_burst, one_context = "rill-device", 100_000, 1, False

    def __init__(self, setting: Setting, loop: VirtualLoop) -> None:
        self.step_s = 1e-3 * setting.draft
        self.in_place = self.step_s <= IN_PLACE_S
        self.cached = 100_000
        self._setting = setting
        self._right = setting.truth
        self._agreements = setting.agreements
        self._loop = loop

    def start(self) -> TrueDrafter:
        return self

    def close(self) -> None:
        """There is nothing to close."""

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        written = list(text[len(PROMPT) :])
        guesses: list[Guess] = []
        while len(guesses) < count:
            self._loop.work(self.step_s)
            guesses.append(self._guess(written))
            if stop(guesses[-1]):
                break
            written.append(guesses[-1].token)
        return guesses

    def _guess(self, text: list[int]) -> Guess:
        place = len(text)
        dice = random.Random(f"{self._setting.seed} {text[-6:]} {place}")
        wrong, other = 1000 + dice.randrange(1000), 2000 + dice.randrange(1000)
        if place >= len(self._right) or text != self._right[:place]:
            return Guess(wrong, CONFIDENCE, other)
        right, agreement = self._right[place], self._agreements[place]
        if agreement is Agreement.FIRST:
            return Guess(right, CONFIDENCE, other)
        return Guess(wrong, CONFIDENCE, right if agreement is Agreement.SECOND else other)


class VirtualEngine:
    """The link's far end: an engine that knows the answer, with the real mailbox for drafts.

    Its times are its own: it is not held up by a device that drafts on the loop.
    """

    def __init__(self, setting: Setting, loop: VirtualLoop, outcome: Outcome) -> None:
        self._setting = setting
        self._step_s = 1e-3 * setting.step
        self._one_way_s = 5e-4 * setting.round_trip
        self._loop = loop
        self._outcome = outcome
        self._right = setting.truth
        self._mailbox = Branches()
        self.probes = SimpleNamespace(round_trip_s=1e-3 * setting.round_trip)

    async def open(self) -> SessionChannel:
        self._channel = SessionChannel(
            number=1, release=lambda: None, send=self._send, rate_limit=DraftRateLimit(0, 0.0)
        )
        return self._channel

    async def _send(self, frame: wire.FromDevice) -> None:
        at = self._loop.now + self._one_way_s
        if isinstance(frame, wire.Open):
            self._loop.call_at(at, self._begin, at)
        elif isinstance(frame, wire.Draft):
            self._loop.call_at(at, self._take, frame)

    def _take(self, frame: wire.Draft) -> None:
        self._outcome.frames += 1
        for run in frame.runs:
            self._outcome.sent += len(run.i)
            self._mailbox.put(SESSION, run.p, run.i, run.b)

    def _begin(self, at: float) -> None:
        self._mailbox.claim(SESSION)
        opened = wire.Opened(s=1, model="m", endpoint="e", per_step=self._setting.per_step)
        self._tell(at, opened)
        self._begin_step(at)

    def _begin_step(self, at: float) -> None:
        generated = self._outcome.generated
        begun = len(generated)
        room = min(self._setting.per_step, len(self._right) - begun - 1)
        drafts = self._mailbox.take(SESSION, generated, room) if generated else []
        right = 0
        while right < len(drafts) and drafts[right] == self._right[begun + right]:
            right += 1
        self._loop.call_at(at + self._step_s, self._end_step, at + self._step_s, right)

    def _end_step(self, at: float, right: int) -> None:
        outcome, begun = self._outcome, len(self._outcome.generated)
        new = self._right[begun : begun + right + 1]
        outcome.steps += 1
        outcome.generated += new
        outcome.times += [at] * len(new)
        self._tell(at, wire.Tokens(s=1, p=begun, i=new, d=right))
        count = len(outcome.generated)
        if count < len(self._right):
            self._begin_step(at)
        else:
            done = wire.Done(s=1, reason="length", prompt_tokens=0, completion_tokens=count)
            self._tell(at, done)

    def _tell(self, at: float, frame: Any) -> None:
        self._loop.call_at(at + self._one_way_s, self._channel.put, frame)


def race(setting: Setting, profile: VerifierProfile | None = None) -> Outcome:
    """One answer. `profile` is what the agent has learned by then, and learns more."""
    outcome = Outcome()
    with virtual_loop(verified_answer, drafted_hop) as loop:
        loop.run_until_complete(_answer(setting, loop, outcome, profile or VerifierProfile()))
    return outcome


async def _answer(
    setting: Setting, loop: VirtualLoop, outcome: Outcome, profile: VerifierProfile
) -> None:
    drafter = TrueDrafter(setting, loop)
    thread = DraftingThread(drafter)
    answer = VerifiedAnswer(
        link=cast(Link, VirtualEngine(setting, loop, outcome)),
        hop=DraftedHop(profile),
        thread=thread,
        stream=drafter.start(),
        request=GenerationRequest(
            prompt=PROMPT,
            sampling=Sampling(max_tokens=setting.tokens, ignore_eos=True),
            window=setting.window,
        ),
        report=AnswerReport(placement="device-cloud"),
        end_tokens=frozenset(),
    )
    offer = wire.Offer(tier="cloud", model="m", per_step=setting.per_step)
    async for piece in answer.pieces(offer, "tokenizer"):
        outcome.verified += piece.token_ids
    thread.close()
