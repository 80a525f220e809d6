"""What drafters share that step their model here, one token at a time, with a KV cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from services.device_agent.drafters.guesses import Stopwatch, best_two, common_prefix, probability
from services.device_agent.drafters.port import Chooser, Guess, Logits

READ_AT_ONCE = 512
"""Tokens of a long text in one run of the model: bounds what its activations take."""


class SteppingStream(ABC):
    """`written` is the text whose keys and values are in the cache; `_forget` and `_read` keep it
    so. `context` is in tokens."""

    def __init__(self, context: int, stopwatch: Stopwatch, written: list[int]) -> None:
        self._context = context
        self._stopwatch = stopwatch
        self._written = written

    @property
    def cached(self) -> int:
        return len(self._written)

    @abstractmethod
    def _forget(self, kept: int) -> None:
        """Roll the cache back to the first `kept` tokens."""

    @abstractmethod
    def _read(self, tokens: list[int]) -> Logits:
        """Append to the text; gives the logits [vocabulary] after it. Raises DrafterFailed."""

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        if not text or len(text) >= self._context:
            return []
        whole = list(text)
        kept = min(common_prefix(self._written, whole), len(whole) - 1)
        self._forget(kept)
        count = min(count, self._context - len(whole))
        guesses: list[Guess] = []
        lap = self._stopwatch.lap()
        for begin in range(kept, len(whole), READ_AT_ONCE):
            logits = self._read(whole[begin : begin + READ_AT_ONCE])
        lap.read(len(whole) - kept)
        while True:
            if chooser is None:
                guess = best_two(logits)
            else:
                picked = chooser.pick(logits)
                guess = Guess(picked, probability(logits, picked))
            guesses.append(guess)
            if len(guesses) >= count or stop(guess):
                break
            logits = self._read([guess.token])
            lap.read(1)
        lap.end()
        return guesses
