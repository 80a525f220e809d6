"""The steps that all requests of an engine share: what each is given, and what was learned of it.

In this order for each step: `begin`, `choose` where drafts wait, `fill`, `verified` for each
session that was given drafts, `end`. Of vLLM it sees only what a step computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.vllm_server.race.goodput.policy import GoodputPolicy
from services.vllm_server.race.goodput.step_clock import StepClock


class SharedSteps:
    """`learns` false: every step is given all drafts that it has room for."""

    def __init__(self, learns: bool = True) -> None:
        self._learns = learns
        self._policy = GoodputPolicy()
        self._clock = StepClock()
        self._timed = self._step_us = self._expected_us = 0

    def begin(self, now_us: int) -> None:
        """A step begins: what the one before it took is known now."""
        step = self._clock.begin(now_us)
        if step is None or not self._learns:
            return
        times = self._policy.times
        self._timed += 1
        self._step_us += step.us
        self._expected_us += int(1e6 * times.expected(step.requests, step.drafts))
        self._policy.observe(step.requests, step.drafts, step.us / 1e6)

    def choose(
        self, waiting: Mapping[str, int], *, requests: int, drafted_for: int, room: int
    ) -> dict[str, int]:
        """How many of the `waiting` tokens of each session the step is given: see
        `GoodputPolicy.plan`."""
        if self._learns:
            return self._policy.plan(waiting, requests=requests, drafted_for=drafted_for, room=room)
        chosen = {}
        for session, count in waiting.items():
            if fitting := min(count, room):
                chosen[session] = fitting
                room -= fitting
        return chosen

    def fill(self, step: Any) -> None:
        """What vLLM's scheduler put into the step."""
        drafts = sum(map(len, step.scheduled_spec_decode_tokens.values()))
        self._clock.fill(
            requests=len(step.num_scheduled_tokens),
            drafts=drafts,
            tokens=step.total_num_scheduled_tokens,
        )

    def end(self, goes_on: bool) -> None:
        self._clock.end(goes_on)

    def verified(self, session: str, offered: int, accepted: int) -> None:
        if self._learns:
            self._policy.verified(session, offered, accepted)

    def forget(self, session: str) -> None:
        self._policy.forget(session)

    def report(self) -> dict[str, int]:
        return {
            "timed_steps": self._timed,
            "step_us": self._step_us,
            "expected_us": self._expected_us,
        }
