"""The rules by which every store decides, as algebra."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.state import decisions
from gateway.core.state.circuit import Circuit
from gateway.core.state.operations import (
    Advance,
    Claim,
    ClaimState,
    Complete,
    Hold,
    Observe,
    Spend,
)

LATER = st.floats(0.0, 50.0)
WHO = st.sampled_from("abcdef")


@given(st.lists(st.tuples(LATER, st.floats(0.0, 12.0)), max_size=40))
def test_no_more_is_spent_than_the_burst_and_what_flowed_in(
    steps: list[tuple[float, float]],
) -> None:
    bucket, now, spent = None, 0.0, 0.0
    for later, amount in steps:
        now += later
        if bucket is not None and bucket.until <= now:
            bucket = None
        decision = decisions.spend(
            bucket, Spend(kind="k", name="n", amount=amount, burst=10.0, per_s=0.5), now
        )
        bucket = decision.record
        spent += amount if decision.result == 0.0 else 0.0
        assert spent <= 10.0 + 0.5 * now + 1e-6
        assert (decision.result == math.inf) == (amount > 10.0)


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.floats(0.01, 5.0))
def test_who_waits_as_long_as_told_is_served(first: float, then: float, rate: float) -> None:
    emptied = decisions.spend(
        None, Spend(kind="k", name="n", amount=first, burst=10.0, per_s=rate), 1e9
    )
    wanted = Spend(kind="k", name="n", amount=then, burst=10.0, per_s=rate)
    refused = decisions.spend(emptied.record, wanted, 1e9)
    if refused.result > 1e-3:
        # A moment more: at such times a float knows no smaller one.
        later = 1e9 + refused.result + 1e-6
        assert decisions.spend(refused.record, wanted, later).result == 0.0


@given(st.lists(st.tuples(LATER, st.floats(0.0, 1.0), st.floats(0.1, 3.0)), min_size=1))
def test_a_mean_lies_among_what_was_seen(steps: list[tuple[float, float, float]]) -> None:
    memory, now = None, 0.0
    for later, value, weight in steps:
        now += later
        memory = decisions.observe(
            memory, Observe(kind="k", name="n", value=value, weight=weight, half_life_s=20.0), now
        ).record
    assert memory is not None
    seen = [value for _, value, _ in steps]
    assert min(seen) - 1e-9 <= memory.value <= max(seen) + 1e-9
    assert memory.weight <= sum(weight for _, _, weight in steps) + 1e-9
    half = memory.mean(now + 20.0)
    assert half.weight == pytest.approx(memory.weight / 2)
    assert half.value == memory.value


@given(st.lists(st.integers(0, 3), max_size=20))
def test_rounds_go_up_one_by_one(expected: list[int]) -> None:
    stored = None
    for number in expected:
        before = 0 if stored is None else stored.number
        decision = decisions.advance(
            stored, Advance(kind="k", name="n", expected=number, value=b"", ttl_s=10.0), 0.0
        )
        assert decision.result is (number == before)
        stored = decision.record
        assert (0 if stored is None else stored.number) == before + decision.result


@given(st.lists(st.tuples(WHO, LATER), max_size=30))
def test_a_lease_changes_hands_only_after_its_end(steps: list[tuple[str, float]]) -> None:
    lease, now = None, 0.0
    for holder, later in steps:
        now += later
        if lease is not None and lease.until <= now:
            lease = None
        before = lease
        decision = decisions.hold(
            lease, Hold(kind="k", name="n", holder=holder, value=b"", ttl_s=20.0), now
        )
        lease = decision.record
        assert lease is not None
        assert decision.result is (before is None or before.holder == holder)
        assert (lease.holder == holder) is decision.result


@given(st.lists(st.tuples(WHO, LATER, st.booleans()), max_size=30))
def test_a_key_is_answered_once_and_then_always_alike(steps: list[tuple[str, float, bool]]) -> None:
    record, now, answered = None, 0.0, None
    for holder, later, completes in steps:
        now += later
        if completes:
            answer = holder.encode()
            finished = decisions.complete(
                record, Complete(name="n", holder=holder, answer=answer, ttl_s=1e6), now
            )
            if finished.result and answered is None:
                answered = answer
            record = finished.record
            continue
        decision = decisions.claim(
            record, Claim(name="n", digest="digest", holder=holder, lease_s=30.0, ttl_s=1e6), now
        )
        record = decision.record
        assert (decision.result.state is ClaimState.DONE) == (answered is not None)
        assert decision.result.answer == answered


def test_a_circuit_opens_after_failures_in_a_row_and_only_a_look_closes_it() -> None:
    circuit = Circuit(failures=3)
    for _ in range(2):
        circuit.fail()
        assert circuit.suspicious and not circuit.open
    circuit.look_failed()
    assert circuit.open
    circuit.look_succeeded()
    assert not circuit.open and not circuit.suspicious


def test_looks_come_less_and_less_often_up_to_a_bound() -> None:
    circuit = Circuit(first_pause_s=0.1, longest_pause_s=2.0)
    pauses = []
    for _ in range(40):
        pauses.append(circuit.pause_s(1.0))
        circuit.look_failed()
    assert pauses[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert set(pauses[5:]) == {2.0}
    assert circuit.pause_s(0.0) == 1.0
