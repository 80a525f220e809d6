from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.session import (
    AHEAD,
    BEHIND,
    BRANCHES,
    DraftRefused,
    SessionState,
)

IDS = st.lists(st.integers(0, 9), min_size=1, max_size=6)


def test_a_step_tells_how_many_of_its_first_tokens_had_been_drafted() -> None:
    state = SessionState(prompt=[1])
    state.forwarded(0, [5, 6, 7, 8], now=1.0)
    step = state.commit([5, 6, 9], now=1.5)
    assert (step.position, step.tokens, step.drafted, step.accepted) == (0, 3, 2, 2)
    assert step.refused == 2
    assert step.age_s == 0.5


def test_the_last_token_of_a_step_is_the_engines_own_even_when_it_was_drafted() -> None:
    state = SessionState(prompt=[1])
    state.forwarded(0, [5, 6], now=0.0)
    assert state.commit([5], now=1.0).accepted == 0
    assert state.commit([6], now=1.0).refused is None


def test_a_token_counts_when_any_branch_had_it() -> None:
    state = SessionState(prompt=[1])
    state.forwarded(0, [5, 6], now=0.0)
    state.forwarded(0, [4, 7], now=0.0)
    assert state.commit([4, 6, 1], now=0.0).accepted == 2


def test_a_token_that_nobody_drafted_ends_the_drafted_run() -> None:
    state = SessionState(prompt=[1])
    state.forwarded(0, [5], now=0.0)
    state.forwarded(2, [7], now=0.0)
    step = state.commit([5, 6, 7, 8], now=0.0)
    assert (step.drafted, step.accepted) == (1, 2)


def test_an_end_without_tokens_is_a_step_of_none() -> None:
    step = SessionState(prompt=[1]).commit([], now=0.0)
    assert (step.tokens, step.drafted, step.accepted, step.refused) == (0, 0, 0, None)


def test_a_late_draft_is_no_lie_and_of_no_use() -> None:
    state = SessionState(prompt=[1], verified=[0] * 40)
    assert not state.check(30, [1] * 10)
    assert state.check(30, [1] * 11)


@pytest.mark.parametrize(
    ("position", "code"),
    [(BEHIND, None), (BEHIND + AHEAD, None), (-1, "position_behind")],
)
def test_positions_out_of_reach_are_refused(position: int, code: str | None) -> None:
    state = SessionState(prompt=[1], verified=[0] * BEHIND)
    if code is None:
        state.check(position, [1])
        with pytest.raises(DraftRefused) as caught:
            state.check(BEHIND + AHEAD + 1, [1])
        assert caught.value.code == "position_ahead"
    else:
        with pytest.raises(DraftRefused) as caught:
            state.check(position, [1])
        assert caught.value.code == code


def test_ids_beyond_the_vocabulary_are_refused_once_it_is_known() -> None:
    state = SessionState(prompt=[1])
    assert state.check(0, [2**31 - 1])
    state.vocabulary = 100
    assert state.check(0, [99])
    with pytest.raises(DraftRefused, match="below 100"):
        state.check(0, [3, 100])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("draft"), st.integers(0, 40), IDS),
            st.tuples(st.just("take"), st.just(0), IDS),
        ),
        max_size=40,
    )
)
def test_counts_agree_with_a_plain_reckoning(events: list[tuple[str, int, list[int]]]) -> None:
    state, truth, drafts = SessionState(prompt=[1]), list[int](), set[tuple[int, int]]()
    accepted = drafted = 0
    for kind, position, ids in events:
        if kind == "draft":
            if position <= len(truth):
                position = len(truth)
            state.forwarded(position, ids, now=0.0)
            drafts |= {(place, token) for place, token in enumerate(ids, position)}
            drafted += len(ids)
        else:
            step = state.commit(ids, now=1.0)
            hits = [(p, t) in drafts for p, t in enumerate(ids[:-1], len(truth))]
            crowded = any(
                sum(place == p for p, _ in drafts) > BRANCHES
                for place in range(len(truth), len(truth) + len(ids))
            )
            if not crowded:
                assert step.accepted == sum(hits)
                assert step.drafted == (hits.index(False) if False in hits else len(hits))
            accepted += step.accepted
            truth += ids
    assert state.verified == truth
    assert (state.drafted, state.accepted) == (drafted, accepted)


@given(st.lists(st.tuples(st.integers(0, AHEAD), IDS), max_size=200))
def test_memory_is_bounded_by_what_may_be_drafted(drafts: list[tuple[int, list[int]]]) -> None:
    state = SessionState(prompt=[1])
    for position, ids in drafts:
        if state.check(position, ids):
            state.forwarded(position, ids, now=0.0)
    assert len(state._forwarded) <= AHEAD + 64
    assert all(len(known) <= BRANCHES for known in state._forwarded.values())
    state.commit([0] * (AHEAD + 64), now=0.0)
    assert not state._forwarded


def resumed(verified: list[int], at: int) -> SessionState:
    """An answer on which another engine went on after `at` tokens."""
    state = SessionState(prompt=[1], verified=verified[:at])
    state.resume()
    state.commit(verified[at:], now=0.0)
    return state


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), IDS, st.data())
def test_a_draft_for_an_engine_that_goes_on_is_the_same_text_counted_from_there(
    verified: list[int], ids: list[int], data: st.DataObject
) -> None:
    at = data.draw(st.integers(1, len(verified)))
    position = data.draw(st.integers(0, len(verified) + 3))
    text = [*verified, 0, 0, 0]
    before = text[max(0, position - data.draw(st.integers(0, 4))) : position]
    run = resumed(verified, at).engine_run(position, ids, before)
    head = ids[: max(0, at - position)]
    if len(head) == len(ids) or head != text[position : position + len(head)]:
        assert run is None
    else:
        assert run is not None
        start, new_ids, new_before = run
        assert start == max(0, position - at)
        assert [*head, *new_ids] == ids
        assert list(new_before) == before[len(before) - min(start, len(before)) :]


def test_a_draft_that_continues_another_text_is_of_no_use_to_an_engine_that_goes_on() -> None:
    state = resumed([5, 6, 7], 3)
    assert state.engine_run(4, [9], [6, 7, 8]) == (1, [9], [8])
    assert state.engine_run(4, [9], [6, 6, 8]) is None


def test_drafts_that_a_broken_engine_had_count_no_more() -> None:
    state = SessionState(prompt=[1], verified=[5])
    state.forwarded(1, [6, 7], now=0.0)
    state.resume()
    assert state.commit([6, 7], now=1.0).accepted == 0
