"""Which of the times from step to step are a step's own. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A step with a row for each of `requests` and for each of `drafts` tokens, and its time."""

    requests: int
    drafts: int
    us: int


class StepClock:
    """The clock of an engine that works in steps: from one beginning to the next is a step's time,
    with all that the engine did for it, where it went on without a pause.

    In this order for each step: `begin`, `fill`, `end`. A step that begins before the last one has
    ended (pipelines do so) has no time of its own, nor has one that computed prompts.
    """

    def __init__(self) -> None:
        self._began = 0
        self._step: tuple[int, int] | None = None
        self._over = False

    def begin(self, now_us: int) -> TimedStep | None:
        """A step begins; gives the one before, where its time is known."""
        step, taken = self._step, now_us - self._began
        timed = TimedStep(*step, taken) if step and self._over else None
        self._began, self._step, self._over = now_us, None, False
        return timed

    def fill(self, *, requests: int, drafts: int, tokens: int) -> None:
        """What the step computes: `tokens` in all; more than a row for each says prompts."""
        if requests and tokens == requests + drafts:
            self._step = requests, drafts

    def end(self, goes_on: bool) -> None:
        """Its results are there; `goes_on`: the next step begins at once."""
        self._over = goes_on
