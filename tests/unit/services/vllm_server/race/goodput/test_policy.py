"""The policy beside a machine whose times and drafts are known: what it loses, and what not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vllm_server.race.goodput.choice import choose
from services.vllm_server.race.goodput.policy import LENGTHENING, GoodputPolicy

PER_STEP = 16
STEPS = 800
Times = Callable[[int, int], float]


def small_model(requests: int, drafts: int) -> float:
    """Each row costs, as on a CPU."""
    return 0.005 + 0.0004 * requests + 0.0002 * drafts + 0.0003 * (drafts > 0)


def memory_bound(requests: int, drafts: int) -> float:
    """Rows are free until the machine is busy, as on a GPU."""
    return 0.02 * max(1.0, (requests + drafts) / 128)


def busy(requests: int, drafts: int) -> float:
    """Full with the requests' own rows: a draft's row costs nearly what a token brings."""
    return 0.004 + 0.001 * (requests + drafts)


def rate(
    times: Times, shares: Sequence[float], requests: int, plan: Callable[[int], Sequence[int]]
) -> float:
    """Tokens a second over the second half; `plan` gives the tokens of each session by step."""
    tokens = seconds = 0.0
    for step in range(STEPS):
        counts = plan(step)
        if step >= STEPS // 2:
            tokens += requests + sum(
                sum(share**place for place in range(1, count + 1))
                for share, count in zip(shares, counts, strict=True)
            )
            seconds += times(requests, sum(counts))
    return tokens / seconds


def rate_of_policy(times: Times, shares: Sequence[float], requests: int) -> float:
    policy, random = GoodputPolicy(), Random(5)
    names = [f"session-{n}" for n in range(len(shares))]

    def plan(step: int) -> list[int]:
        waiting = dict.fromkeys(names, PER_STEP)
        chosen = policy.plan(waiting, requests=requests, drafted_for=requests, room=2000)
        counts = [chosen.get(name, 0) for name in names]
        for name, share, count in zip(names, shares, counts, strict=True):
            right = 0
            while right < count and random.random() < share:
                right += 1
            policy.verified(name, count, right)
        taken = times(requests, sum(counts)) * random.uniform(1.0, 1.1)
        policy.observe(requests, sum(counts), taken)
        return counts

    return rate(times, shares, requests, plan)


@pytest.mark.parametrize("times", [small_model, memory_bound, busy])
@pytest.mark.parametrize("sessions", [1, 8, 64])
@pytest.mark.parametrize("shares", [[0.95], [0.8], [0.3], [0.0], [0.95, 0.1]])
def test_it_is_near_the_best_and_never_below_no_drafts(
    times: Times, sessions: int, shares: list[float]
) -> None:
    by_session = [shares[n % len(shares)] for n in range(sessions)]
    chances = [[share**place for place in range(1, PER_STEP + 1)] for share in by_session]
    curve = [times(sessions, drafts) for drafts in range(PER_STEP * sessions + 1)]
    best = choose(chances, requests=sessions, seconds=curve)
    reached = rate_of_policy(times, by_session, sessions)
    assert reached >= 0.84 * rate(times, by_session, sessions, lambda step: best)
    assert reached >= 0.98 * rate(times, by_session, sessions, lambda step: [0] * sessions)


def test_nothing_known_a_lone_session_is_given_all_its_drafts() -> None:
    plan = GoodputPolicy().plan({"session": 16}, requests=1, drafted_for=1, room=100)
    assert plan == {"session": 16}


def test_drafts_that_were_bad_are_tried_again() -> None:
    policy = GoodputPolicy()
    for _ in range(200):
        policy.observe(1, 0, 0.005)
        policy.observe(1, 8, 0.009)
        policy.verified("session", 8, 0)
    given = [
        policy.plan({"session": 8}, requests=1, drafted_for=1, room=100).get("session", 0)
        for _ in range(64)
    ]
    assert 1 <= sum(given) <= 8


def test_those_without_drafts_wait_no_longer_than_told() -> None:
    policy = GoodputPolicy()
    for _ in range(200):
        for drafts in (0, 16, 64, 256):
            policy.observe(32, drafts, 0.01 + 0.0001 * drafts)
    waiting = {f"session-{n}": 16 for n in range(16)}
    for session in waiting:
        for _ in range(50):
            policy.verified(session, 16, 16)

    def seconds(drafted_for: int) -> float:
        plan = policy.plan(waiting, requests=32, drafted_for=drafted_for, room=1000)
        return policy.times.expected(32, sum(plan.values()))

    assert seconds(31) <= LENGTHENING * policy.times.expected(32, 0) * 1.05
    assert seconds(32) > seconds(31)


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 16), max_size=6),
    st.integers(-2, 40),
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 40), st.floats(1e-4, 1.0)), max_size=40),
)
def test_a_plan_stays_within_what_waits_and_what_has_room(
    waiting: dict[str, int], room: int, steps: list[tuple[int, int, float]]
) -> None:
    policy = GoodputPolicy()
    for step in steps:
        policy.observe(*step)
    for _ in range(40):
        plan = policy.plan(waiting, requests=8, drafted_for=7, room=room)
        assert sum(plan.values()) <= max(room, 0)
        assert all(0 < count <= waiting[session] for session, count in plan.items())
        for session, count in plan.items():
            policy.verified(session, count, count // 3)
