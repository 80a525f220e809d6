"""Whether a device takes a piece of work, decided at once from what it knows of itself."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol import work

HOT_RETRY_S = 30.0
BATTERY_RETRY_S = 300.0
BUSY_RETRY_S = 1.0


class WorkRefused(Exception):
    """`code` as on the wire; `retry_s` is a hint, 0 where another try would end the same."""

    def __init__(self, code: work.RefusalCode, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_s = retry_s


@dataclass(frozen=True)
class Standing:
    """The device now: `working` counts work in progress, `own` answers to its own user."""

    working: int
    own: int
    max_work: int
    condition: work.Condition
    min_battery: float
    privacy: work.Privacy
    abilities: tuple[work.Kind, ...]


@dataclass(frozen=True)
class Pace:
    """Seconds a token takes to write and to read, and how many tokens answers usually have."""

    step_s: float
    read_s: float
    usual: float

    def needed_s(self, prompt: int, budget: int, others: int) -> float:
        """Until the answer is likely there, in seconds, beside `others` with the same share."""
        return self.read_s * prompt + self.step_s * min(budget, self.usual) * (others + 1)


def admit(frame: work.Work, standing: Standing) -> None:
    """What can be told without the prompt. Raises WorkRefused."""
    condition = standing.condition
    if standing.privacy == "private":
        raise WorkRefused("private", "this device works for its own user only")
    if frame.kind not in standing.abilities:
        raise WorkRefused("unable", f"kind: this device can't {frame.kind}")
    if condition.hot:
        raise WorkRefused("hot", "the device is too hot", HOT_RETRY_S)
    if condition.battery is not None and condition.battery < standing.min_battery:
        raise WorkRefused(
            "battery",
            f"the battery is at {condition.battery:.0%}, below {standing.min_battery:.0%}",
            BATTERY_RETRY_S,
        )
    if standing.working + standing.own >= standing.max_work:
        raise WorkRefused(
            "busy",
            f"{standing.working} pieces of work and {standing.own} answers to the device's own "
            f"user are under way, at most {standing.max_work} at once",
            BUSY_RETRY_S,
        )


def check_size(prompt: int, context: int) -> None:
    """Both in tokens. Raises WorkRefused."""
    if prompt >= context:
        raise WorkRefused(
            "too_long",
            f"messages: {prompt} tokens leave no room for an answer, at most {context - 1} fit",
        )


def check_pace(frame: work.Work, prompt: int, pace: Pace, others: int) -> None:
    """`others`: what shares the device meanwhile. Raises WorkRefused."""
    needed = pace.needed_s(prompt, frame.sampling.max_tokens or 1, others)
    if needed > frame.deadline_s:
        raise WorkRefused(
            "deadline",
            f"deadline_s: it would take about {needed:.2g} s, {frame.deadline_s:.2g} s are given",
            needed - frame.deadline_s if others else 0.0,
        )
