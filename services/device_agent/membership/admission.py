"""Whether a device accepts a piece of work, decided at once from what it knows of itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.protocol.device_link import work

HOT_RETRY_S = 30.0
BATTERY_RETRY_S = 300.0
BUSY_RETRY_S = 1.0

FIRST_USUAL_TOKENS = 16.0
"""Tokens that an answer is taken to have before there was any; low, as a wrong refusal costs more
than work that is given up at its deadline."""

NEWEST_WEIGHT = 0.1
"""Weight of the newest answer in the running means."""


class WorkRefused(Exception):
    """The device does not do a piece of work; `code` is the wire's.

    `retry_s` hints at when another try might end otherwise; 0: none would.
    """

    def __init__(self, code: work.RefusalCode, message: str, retry_s: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_s = retry_s


@dataclass(frozen=True, kw_only=True)
class DeviceLoad:
    """What a device is doing, and what it would do for others.

    `working` counts work in progress, `user_answers` answers to the device's own user.
    """

    working: int
    user_answers: int
    max_work: int
    condition: work.Condition
    min_battery: float
    privacy: work.Privacy
    abilities: tuple[work.Kind, ...]


@dataclass
class AnswerTimeEstimate:
    """An estimate of how long answers take, from running means over the work that was done.

    `usual_tokens` is how many tokens answers have, `read_s` the seconds to read a prompt's token.
    """

    usual_tokens: float = FIRST_USUAL_TOKENS
    read_s: float = 0.0

    def seconds(self, *, step_s: float, prompt: int, budget: int, others: int) -> float:
        """Until an answer is likely complete, beside `others` that share the model.

        `step_s` is the model's time for a token; `prompt` and `budget` are tokens.
        """
        tokens = min(budget, self.usual_tokens)
        return self.read_s * prompt + step_s * tokens * (others + 1)

    def learn(self, *, prompt: int, read_s: float, tokens: int) -> None:
        """From one answer: `read_s` seconds for a prompt of so many tokens, then `tokens`."""
        self.read_s += NEWEST_WEIGHT * (read_s / prompt - self.read_s)
        self.usual_tokens += NEWEST_WEIGHT * (tokens - self.usual_tokens)


def check_load(frame: work.Work, load: DeviceLoad) -> None:
    """The checks that need no prompt. Raises WorkRefused."""
    condition = load.condition
    if load.privacy == "private":
        raise WorkRefused("private", "this device works for its own user only")
    if frame.kind not in load.abilities:
        raise WorkRefused("unable", f"kind: this device has no ability {frame.kind}")
    if condition.hot:
        raise WorkRefused("hot", "the device is too hot", HOT_RETRY_S)
    if condition.battery is not None and condition.battery < load.min_battery:
        raise WorkRefused(
            "battery",
            f"the battery is at {condition.battery:.0%}, below {load.min_battery:.0%}",
            BATTERY_RETRY_S,
        )
    if load.working + load.user_answers >= load.max_work:
        raise WorkRefused(
            "busy",
            f"{load.working} pieces of work and {load.user_answers} answers to the device's own "
            f"user are in progress, at most {load.max_work} at once",
            BUSY_RETRY_S,
        )


def check_size(prompt: int, context: int) -> None:
    """Both in tokens. Raises WorkRefused."""
    if prompt >= context:
        raise WorkRefused(
            "too_long",
            f"messages: {prompt} tokens leave no room for an answer, at most {context - 1} fit",
        )


def check_deadline(frame: work.Work, needed_s: float, others: int) -> None:
    """`others`: how many answers share the model meanwhile. Raises WorkRefused."""
    if needed_s > frame.deadline_s:
        raise WorkRefused(
            "deadline",
            f"deadline_s: the answer would take about {needed_s:.2g} s, more than "
            f"{frame.deadline_s:.2g} s",
            needed_s - frame.deadline_s if others else 0.0,
        )
