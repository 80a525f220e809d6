"""Greedy answers that a device drafts are those of the server alone: ids, text and reason.

Real vLLM in float32 on the shipped family, real agents, a link emulator between them. Every
held-out question is asked in one cell of draft window and one-way delay, among many others, and
every second one almost alone as well. Each cell gets questions of several tasks, half of them
answered whole, half streamed.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests import engines
from tests.integration.exact.chat import (
    DEVICE_CLOUD,
    DraftedReply,
    ask,
    questions,
    server_only,
    together,
)
from tests.integration.exact.drafting_fleet import DraftingFleet

pytestmark = [pytest.mark.integration, pytest.mark.engine("verifier")]
WINDOWS = ("1", "2", "3", "4", "6", "8", "12", "16", "24", "32", "auto")
DELAYS_MS = (0, 2, 10, 25, 50)
JITTER = 0.4
"""Of the delay, plus or minus."""

EACH = 4
"""Questions a cell."""

AT_ONCE = (8, 2)
"""Among many the devices draft little in time; with two, each device has its own answer."""

TOO_SHORT = "1"
"""This window's draft is for the token that the engine is at already: it comes too late."""


@dataclass(frozen=True)
class Case:
    """`endless`: on beyond the answer's own end, to `TOKENS`; most answers are short."""

    question: str
    window: str
    delay_ms: int
    agent: int
    stream: bool
    endless: bool


def all_cases() -> list[Case]:
    cells = [
        (delay, each, window) for delay in DELAYS_MS for each in range(EACH) for window in WINDOWS
    ]
    return [
        Case(question, window, delay, each % 2, each < 2, each in (0, 3))
        for question, (delay, each, window) in zip(questions(len(cells)), cells, strict=True)
    ]


CASES = all_cases()


@pytest.fixture(scope="module")
def references(whole_fleet: DraftingFleet) -> dict[Case, DraftedReply]:
    def answer(case: Case) -> DraftedReply:
        return server_only(whole_fleet, case.question, ignore_eos=case.endless)

    with ThreadPoolExecutor(engines.AT_ONCE["verifier"]) as threads:
        return dict(zip(CASES, threads.map(answer, CASES), strict=True))


@pytest.fixture(scope="module")
def accepted() -> Counter[str]:
    """Draft tokens that came true, by window, over the delays so far."""
    return Counter()


@pytest.mark.parametrize("at_once", AT_ONCE)
@pytest.mark.parametrize("delay_ms", DELAYS_MS)
def test_greedy_answers_are_the_servers_own(
    fleet: DraftingFleet,
    references: dict[Case, DraftedReply],
    accepted: Counter[str],
    delay_ms: int,
    at_once: int,
) -> None:
    fleet.link.ask(delay_ms=delay_ms, jitter_ms=JITTER * delay_ms)
    mine = [case for case in CASES if case.delay_ms == delay_ms]
    if at_once == min(AT_ONCE):
        # The number of windows is odd, so every window has its turn.
        mine = mine[::2]

    def answer(case: Case) -> DraftedReply:
        how: dict[str, Any] = {"window": case.window, "ignore_eos": case.endless}
        return together(fleet, case.agent, case.question, stream=case.stream, **how)

    with ThreadPoolExecutor(at_once) as threads:
        replies = list(threads.map(answer, mine))
    for case, reply in zip(mine, replies, strict=True):
        assert reply.about["degraded"] is None, (case, reply.about)
        assert reply.unchanged == references[case].unchanged, case
        assert reply.about["verified_tokens"] == len(reply.ids)
        accepted[case.window] += reply.about["accepted_tokens"]


def test_drafts_came_true_at_every_window(accepted: Counter[str]) -> None:
    """Else the answers above would be the server's for want of drafts. Runs after them."""
    assert set(accepted) == set(WINDOWS), "run the whole file"
    assert min(accepted[window] for window in WINDOWS if window != TOO_SHORT) > 0, accepted
    assert sum(accepted.values()) > 200, accepted


@pytest.mark.parametrize(
    "sampling", [{"logit_bias": {"20": 12}}, {"temperature": 1.0, "min_p": 0.1}]
)
def test_what_allows_no_drafts_is_the_servers_own_beside_drafted_answers(
    fleet: DraftingFleet, references: dict[Case, DraftedReply], sampling: dict[str, Any]
) -> None:
    case = next(case for case in CASES if case.endless)
    how: dict[str, Any] = {**sampling, "seed": 7, "ignore_eos": True}
    alone = ask(fleet.engine.url, "rill-cloud", case.question, **how)
    assert alone.ids != references[case].ids
    with ThreadPoolExecutor(4) as threads:
        beside = [
            threads.submit(together, fleet, agent, case.question, window="8", ignore_eos=True)
            for agent in (0, 1)
        ]
        for url, model in [(fleet.gateway.url, "rill-cloud"), (fleet.agents[0].url, DEVICE_CLOUD)]:
            assert ask(url, model, case.question, **how).unchanged == alone.unchanged
        for drafted in beside:
            assert drafted.result().unchanged == references[case].unchanged
