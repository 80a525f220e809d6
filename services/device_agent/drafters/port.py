"""The port that every model on the device implements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class DrafterFailed(Exception):
    """The model can't be loaded, or it stopped working; one line that names cause and fix."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A drafter's guess of the next token, with its probability (0 to 1).

    `second` is the token that is likeliest after it, -1 where the model does not tell.
    """

    token: int
    probability: float
    second: int = -1


class Chooser(Protocol):
    """A rule that picks the next token from logits [vocabulary]; for answers without a verifier."""

    temperature: float
    top_p: float
    top_k: int
    seed: int | None

    def pick(self, logits: Logits) -> int: ...


class DraftStream(Protocol):
    """A stream of drafts for one text that grows.

    What was computed for the beginning of a text is kept and used again: `cached` is how many
    tokens of the last text need not be read again.
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
        """The next tokens after `text`, greedily or by `chooser`: `count`, or fewer.

        `stop` is called with every guess; the one for which it is true is the last. For a text
        that shares only its beginning with the last one, the KV cache is rolled back to there and
        the rest is read. Raises DrafterFailed.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """A stretch of drafting without a pause; its fields are what `DraftStream.draft` takes."""

    text: Sequence[int]
    count: int
    stop: Callable[[Guess], bool]
    chooser: Chooser | None = None

    def run(self, stream: DraftStream) -> list[Guess]:
        return stream.draft(self.text, self.count, self.stop, self.chooser)


class Drafter(Protocol):
    """A loaded model that drafts.

    `context` is the longest text in tokens, `step_s` what a token takes now, in seconds.
    `least_burst` is how many tokens make a call worth its overhead. `in_place` says whether short
    bursts may run on the event loop, as they wait for nobody and know what each stream has read.
    `one_context` says whether its streams share one KV cache, so that each change of stream means
    to read a text anew.
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
