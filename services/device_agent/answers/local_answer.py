"""An answer by the device's own model, which no server verifies.

The device answers alone where the caller asks for that, and where the servers are out of reach.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import numpy as np

from gateway.protocol.requests.sampling import Sampling
from services.device_agent.answers.answer import AnswerPiece, AnswerReport, GenerationRequest
from services.device_agent.drafters.port import Burst, Drafter, DraftStream, Guess, Logits
from services.device_agent.text import TextModel

BURST = 8
"""Tokens that are generated at most before they are handed on."""

GREEDY_BELOW = 1e-5
"""The temperature below which the likeliest token is taken, as in vLLM."""

LEAST_PROBABILITY = 1e-30
"""A probability is rounded to 0 long after its logarithm says all that matters."""


class GenerationTurns(Protocol):
    """The order in which texts get the model: see DraftingThread, BackgroundDrafting."""

    @property
    def drafter(self) -> Drafter: ...

    def burst(self, most: int) -> int: ...

    async def draft(self, stream: DraftStream, burst: Burst) -> list[Guess]: ...


async def local_answer(
    request: GenerationRequest,
    report: AnswerReport,
    turns: GenerationTurns,
    stream: DraftStream,
    model: TextModel,
    *,
    beginning: Sequence[int] = (),
) -> AsyncGenerator[AnswerPiece]:
    """Continues the answer after `beginning`, the token ids of it that are there already.

    Ends at the model's end token, at `max_tokens` or when its context is full.
    Raises DrafterFailed.
    """
    sampling = request.sampling
    text = [*request.prompt, *beginning]
    remaining = turns.drafter.context - len(text)
    if sampling.max_tokens is not None:
        remaining = min(remaining, sampling.max_tokens - len(beginning))
    end_tokens = frozenset() if sampling.ignore_eos else model.end_tokens
    sampler = sampler_for(sampling, model)

    def is_end(guess: Guess) -> bool:
        return guess.token in end_tokens

    while remaining > 0:
        count = min(remaining, turns.burst(BURST))
        burst = Burst(text=text, count=count, stop=is_end, chooser=sampler)
        guesses = await turns.draft(stream, burst)
        if not guesses:
            break
        token_ids = [guess.token for guess in guesses]
        text += token_ids
        remaining -= len(token_ids)
        report.unverified_tokens += len(token_ids)
        report.logprob += sum(
            math.log(max(guess.probability, LEAST_PROBABILITY)) for guess in guesses
        )
        yield AnswerPiece(token_ids, ["device"] * len(token_ids))
        if token_ids[-1] in end_tokens:
            report.finish_reason = "stop"
            return
    report.finish_reason = "length"


class Sampler:
    """A sampler of tokens by temperature, top-k and top-p, as in vLLM.

    Greedy at temperature 0. The same seed gives the same answer on the same device.
    """

    def __init__(
        self, *, temperature: float, top_p: float = 1.0, top_k: int = 0, seed: int | None = None
    ) -> None:
        self.temperature = temperature
        self.top_p = top_p
        self.top_k = top_k
        self.seed = seed
        self._random = np.random.default_rng(abs(seed) if seed is not None else None)

    def pick(self, logits: Logits) -> int:
        """The next token's id. `logits` is [vocabulary]."""
        if self.temperature < GREEDY_BELOW:
            return int(logits.argmax())
        scaled = logits.astype(np.float64) / self.temperature
        order = np.argsort(-scaled, kind="stable")
        if self.top_k > 0:
            order = order[: self.top_k]
        weights = np.exp(scaled[order] - scaled[order[0]])
        weights /= weights.sum()
        if self.top_p < 1:
            # The smallest set that reaches top_p, never empty.
            kept = int(np.searchsorted(np.cumsum(weights), self.top_p)) + 1
            order, weights = order[:kept], weights[:kept] / weights[:kept].sum()
        return int(self._random.choice(order, p=weights))


def sampler_for(sampling: Sampling, model: TextModel) -> Sampler | None:
    """None where the answer is greedy."""
    temperature = sampling.temperature
    if temperature is None:
        temperature = model.default_temperature
    if temperature < GREEDY_BELOW:
        return None
    return Sampler(
        temperature=temperature,
        top_p=model.default_top_p if sampling.top_p is None else sampling.top_p,
        top_k=model.default_top_k if sampling.top_k is None else sampling.top_k,
        seed=sampling.seed,
    )
