"""An answer by the device's own model: when asked for, and when the servers are out of reach."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from services.device_agent.answer import Ask, Piece, Report
from services.device_agent.drafters.port import Chooser, Drafter, DraftStream, Guess
from services.device_agent.sampling import Sampler
from services.device_agent.text import TextModel

BURST = 8
LEAST_PROBABILITY = 1e-30
"""A probability is rounded to 0 long after its logarithm says all that matters."""


class Drafting(Protocol):
    """Whoever has the model draft: see DraftingThread, BackgroundDrafting."""

    @property
    def drafter(self) -> Drafter: ...

    def burst(self, most: int) -> int: ...

    async def draft(
        self,
        stream: DraftStream,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]: ...


async def answer_alone(
    ask: Ask,
    report: Report,
    thread: Drafting,
    stream: DraftStream,
    model: TextModel,
    begun: list[int] | None = None,
) -> AsyncGenerator[Piece]:
    """Continues `begun`, the part of the answer that is there already.

    Ends at the model's end token, at `max_tokens` or when its context is full.
    Raises DrafterFailed.
    """
    text = [*ask.prompt, *(begun or [])]
    room = thread.drafter.context - len(text)
    left = room if ask.max_tokens is None else min(room, ask.max_tokens - len(begun or []))
    ends = frozenset() if ask.ignore_eos else model.end_tokens
    sampler = sampler_for(ask, model)

    def over(guess: Guess) -> bool:
        return guess.token in ends

    while left > 0:
        burst = min(left, thread.burst(BURST))
        guesses = await thread.draft(stream, text, burst, over, sampler)
        if not guesses:
            break
        ids = [guess.token for guess in guesses]
        text += ids
        left -= len(ids)
        report.unverified += len(ids)
        chances = (max(guess.probability, LEAST_PROBABILITY) for guess in guesses)
        report.logprob += sum(math.log(chance) for chance in chances)
        yield Piece(ids, ["device"] * len(ids))
        if ids[-1] in ends:
            report.reason = "stop"
            return
    report.reason = "length"


def sampler_for(ask: Ask, model: TextModel) -> Sampler | None:
    """None where the answer is greedy."""
    temperature = model.default_temperature if ask.temperature is None else ask.temperature
    if temperature < 1e-5:
        return None
    top_p = 1.0 if ask.top_p is None else ask.top_p
    return Sampler(temperature, top_p, ask.top_k or 0, ask.seed)
