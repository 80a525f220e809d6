"""A drafter made worse on purpose, to measure what bad drafts cost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from services.device_agent.drafters.port import Chooser, Drafter, DraftStream, Guess

RANK_TWO = 0.6
"""How often the right token is the second guess where the first is wrong, in a good drafter (the
shipped family: 0.65). It falls with the share that is spoiled, to none."""


class SpoiledDrafter:
    """Replaces each guess by a random token with probability `share`, the same one for the same
    text. Answers without a verifier are left alone."""

    def __init__(self, drafter: Drafter, share: float, vocabulary: int) -> None:
        self._drafter = drafter
        self._share = share
        self._vocabulary = vocabulary
        self.name = drafter.name
        self.context = drafter.context
        self.least_burst = drafter.least_burst
        self.in_place = drafter.in_place
        self.one_context = drafter.one_context

    @property
    def step_s(self) -> float:
        return self._drafter.step_s

    def start(self) -> SpoiledStream:
        return SpoiledStream(self._drafter.start(), self._share, self._vocabulary)

    def close(self) -> None:
        self._drafter.close()


class SpoiledStream:
    def __init__(self, stream: DraftStream, share: float, vocabulary: int) -> None:
        self._stream = stream
        self._share = share
        self._vocabulary = vocabulary

    @property
    def cached(self) -> int:
        return self._stream.cached

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
            right = self._stream.draft(written, 1, lambda guess: True)
            if not right:
                break
            guess = self._spoil(written, right[0])
            guesses.append(guess)
            if stop(guess):
                break
            written.append(guess.token)
        return guesses

    def close(self) -> None:
        self._stream.close()

    def _spoil(self, text: list[int], guess: Guess) -> Guess:
        dice = random.Random(hash((len(text), *text[-8:])))
        if dice.random() >= self._share:
            return guess
        wrong = dice.randrange(self._vocabulary)
        kept = RANK_TWO * (1 - self._share)
        second = guess.token if dice.random() < kept else dice.randrange(self._vocabulary)
        return Guess(wrong, guess.probability, second)
