"""The port that every model on the device implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class DrafterFailed(Exception):
    """The model can't be loaded, or stopped working; one line that names the cause and the fix."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A token that the drafter takes for the next one, and how sure it is (0 to 1).

    `second` is the next likely token, -1 where the model does not tell.
    """

    token: int
    probability: float
    second: int = -1


class Chooser(Protocol):
    """Picks the next token from logits [vocabulary]; for answers without a verifier."""

    temperature: float
    top_p: float
    top_k: int
    seed: int | None

    def pick(self, logits: Logits) -> int: ...


class DraftStream(Protocol):
    """One text that grows. What was computed for a text's beginning is kept and used again.

    `cached` is how many tokens of the last text need not be read again.
    """

    @property
    def cached(self) -> int: ...

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        """The next tokens after `text`, greedily or by `chooser`: `count`, or up to `stop`.

        `stop` is asked after every guess, which is part of the result. A text that shares only
        its head with the last one rolls the KV cache back to there and reads the rest.
        Raises DrafterFailed.
        """
        ...

    def close(self) -> None: ...


class Drafter(Protocol):
    """A loaded model. `context` is the longest text in tokens, `step_s` what a token takes now.

    `least_burst`: tokens below which a call is not worth its overhead. `in_place`: whether short
    bursts may run on the event loop, as they wait for nobody and know what each stream has read.
    `one_context`: whether its streams share one KV cache, so that each change of stream costs
    reading a text anew.
    """

    name: str
    context: int
    least_burst: int
    in_place: bool
    one_context: bool

    @property
    def step_s(self) -> float: ...

    def start(self) -> DraftStream: ...

    def close(self) -> None: ...
