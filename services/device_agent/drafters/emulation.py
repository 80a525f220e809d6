"""Drafters made slower or worse on purpose, to measure on one machine what others would do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gateway.protocol.draft_noise import draws_after, is_replaced
from services.device_agent.drafters.port import Chooser, Drafter, DraftStream, Guess

RANK_TWO = 0.6
"""How often the right token is the second guess where the first is wrong, in a good drafter (the
shipped family: 0.65). It falls with the share of noise, to none."""


class _DrafterWrapper:
    """A drafter with the properties of another one, on which it is built."""

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter
        self.name = drafter.name
        self.context = drafter.context
        self.least_burst = drafter.least_burst
        self.in_place = drafter.in_place
        self.one_context = drafter.one_context

    @property
    def step_s(self) -> float:
        return self._drafter.step_s

    def close(self) -> None:
        self._drafter.close()


class _StreamWrapper:
    """A stream of drafts that reads and caches what another one does."""

    def __init__(self, stream: DraftStream) -> None:
        self._stream = stream

    @property
    def cached(self) -> int:
        return self._stream.cached

    def close(self) -> None:
        self._stream.close()


class SlowDrafter(_DrafterWrapper):
    """A drafter as on a slower device: no token takes less than `least_step_s` seconds.

    It sleeps, so that others have the processor meanwhile.
    """

    def __init__(self, drafter: Drafter, least_step_s: float) -> None:
        super().__init__(drafter)
        self._least_step_s = least_step_s
        self.in_place = False
        """Its bursts wait, which the event loop must not."""

    @property
    def step_s(self) -> float:
        return max(self._least_step_s, self._drafter.step_s)

    def start(self) -> SlowStream:
        return SlowStream(self._drafter.start(), self._least_step_s)


class SlowStream(_StreamWrapper):
    """A stream of SlowDrafter."""

    def __init__(self, stream: DraftStream, least_step_s: float) -> None:
        super().__init__(stream)
        self._least_step_s = least_step_s

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        started = time.monotonic()
        guesses = self._stream.draft(text, count, stop, chooser)
        remaining_s = len(guesses) * self._least_step_s - (time.monotonic() - started)
        if remaining_s > 0.0:
            time.sleep(remaining_s)
        return guesses


class NoisyDrafter(_DrafterWrapper):
    """A drafter that is wrong more often: each guess is a random token with probability `noise`.

    The same text gets the same guess. Answers without a verifier are left as they are.
    """

    def __init__(self, drafter: Drafter, noise: float, vocabulary: int) -> None:
        super().__init__(drafter)
        self._noise = noise
        self._vocabulary = vocabulary

    def start(self) -> NoisyStream:
        return NoisyStream(self._drafter.start(), self._noise, self._vocabulary)


class NoisyStream(_StreamWrapper):
    """A stream of NoisyDrafter."""

    def __init__(self, stream: DraftStream, noise: float, vocabulary: int) -> None:
        super().__init__(stream)
        self._noise = noise
        self._vocabulary = vocabulary

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        if chooser is not None:
            return self._stream.draft(text, count, stop, chooser)
        written = list(text)
        guesses: list[Guess] = []
        while len(guesses) < count:
            best = self._stream.draft(written, 1, lambda guess: True)
            if not best:
                break
            guess = self._with_noise(written, best[0])
            guesses.append(guess)
            if stop(guess):
                break
            written.append(guess.token)
        return guesses

    def _with_noise(self, text: list[int], guess: Guess) -> Guess:
        draws = draws_after(text)
        if not is_replaced(draws, self._noise):
            return guess
        wrong = draws.randrange(self._vocabulary)
        kept = RANK_TWO * (1 - self._noise)
        second = guess.token if draws.random() < kept else draws.randrange(self._vocabulary)
        return Guess(wrong, guess.probability, second)
