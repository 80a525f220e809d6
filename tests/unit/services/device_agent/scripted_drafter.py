"""A drafter whose tokens the test has written, and which waits where the test wants it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from services.device_agent.drafters.port import Burst, Chooser, Guess

PATIENCE_S = 10.0


def burst(
    text: Sequence[int], count: int, stop: Callable[[Guess], bool] = lambda _: False
) -> Burst:
    return Burst(text=text, count=count, stop=stop)


class ScriptedDrafter:
    """A drafter that continues any prompt with `token_ids`.

    `gate` holds every burst. `bursts` records which stream each burst was for, by its number.
    """

    name, context, least_burst = "rill-device", 2048, 1

    def __init__(
        self, token_ids: Sequence[int], in_place: bool = False, one_context: bool = False
    ) -> None:
        self.token_ids = list(token_ids)
        self.in_place = in_place
        self.one_context = one_context
        self.step_s = 1e-3
        self.gate = threading.Event()
        self.gate.set()
        self.fails: Exception | None = None
        self.bursts: list[int] = []
        self.streams = 0
        self.closed = 0

    def start(self) -> ScriptedStream:
        self.streams += 1
        return ScriptedStream(self, self.streams)

    def close(self) -> None:
        pass


class ScriptedStream:
    def __init__(self, drafter: ScriptedDrafter, number: int) -> None:
        self.drafter = drafter
        self.number = number
        self.cached = 0
        self.prompt: int | None = None

    def draft(
        self,
        text: Sequence[int],
        count: int,
        stop: Callable[[Guess], bool],
        chooser: Chooser | None = None,
    ) -> list[Guess]:
        drafter = self.drafter
        drafter.bursts.append(self.number)
        assert drafter.gate.wait(PATIENCE_S)
        if drafter.fails is not None:
            raise drafter.fails
        self.prompt = len(text) if self.prompt is None else self.prompt
        written = len(text) - self.prompt
        self.cached = len(text)
        guesses: list[Guess] = []
        for token in drafter.token_ids[written : written + count]:
            guesses.append(Guess(token, 0.5))
            if stop(guesses[-1]):
                break
        return guesses

    def close(self) -> None:
        self.drafter.closed += 1
