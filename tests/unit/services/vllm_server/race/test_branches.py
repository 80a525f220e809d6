"""Which drafts a step is given, and what becomes of the others."""

from __future__ import annotations

import pytest

from services.vllm_server.race.branches import Branches
from services.vllm_server.race.tree import MAX_ALTERNATIVES

SESSION = "session-1"


def with_drafts(*puts: tuple[int, list[int], list[int]]) -> Branches:
    branches = Branches()
    for position, tokens, before in puts:
        branches.put(SESSION, position, tokens, before)
    return branches


def test_nothing_is_given_where_nothing_was_put() -> None:
    assert Branches().take(SESSION, [], 16) == []


def test_drafts_are_given_from_where_the_answer_stands() -> None:
    branches = with_drafts((0, [1, 2, 3, 4], []))
    assert branches.take(SESSION, [1, 2], 16) == [3, 4]
    assert (branches.counts.late, branches.counts.offered) == (2, 2)


def test_no_more_is_given_than_the_step_can_take() -> None:
    branches = with_drafts((0, [1, 2, 3, 4], []))
    assert branches.take(SESSION, [], 2) == [1, 2]
    assert branches.take(SESSION, [1, 2], 0) == []
    assert branches.take(SESSION, [1, 2], -1) == []
    assert branches.take(SESSION, [1, 2], 1) == [3]


def test_what_is_given_twice_is_counted_once() -> None:
    branches = with_drafts((0, [1, 2], []))
    assert branches.take(SESSION, [], 16) == branches.take(SESSION, [], 16) == [1, 2]
    assert (branches.counts.offered, branches.counts.offers) == (2, 1)


def test_more_of_the_same_branch_is_appended() -> None:
    branches = with_drafts((0, [1, 2], []), (2, [3, 4], [1, 2]))
    assert branches.take(SESSION, [], 16) == [1, 2, 3, 4]


def test_a_repetition_adds_only_what_goes_beyond() -> None:
    branches = with_drafts((0, [1, 2], []), (0, [1, 2, 3], []), (1, [2, 3], [1]))
    assert branches.take(SESSION, [], 16) == [1, 2, 3]
    assert branches.counts.repeated == 4


def test_the_first_branch_is_tried_first_and_the_next_when_it_was_wrong() -> None:
    branches = with_drafts((0, [1, 2, 3], []), (1, [7, 8], [1]))
    assert branches.take(SESSION, [], 16) == [1, 2, 3]
    assert branches.take(SESSION, [1, 7], 16) == [8]


def test_a_fork_is_extended_by_the_text_that_it_continues() -> None:
    branches = with_drafts((0, [1, 2, 3], []), (1, [7, 8], [1]), (3, [9], [7, 8]), (3, [4], [2, 3]))
    assert branches.take(SESSION, [1, 7], 16) == [8, 9]
    branches = with_drafts((0, [1, 2, 3], []), (1, [7, 8], [1]), (3, [9], [7, 8]), (3, [4], [2, 3]))
    assert branches.take(SESSION, [1, 2], 16) == [3, 4]


def test_a_branch_that_was_contradicted_never_comes_back() -> None:
    branches = with_drafts((0, [1, 2, 3], []))
    assert branches.take(SESSION, [9], 16) == []
    assert branches.counts.stale == 3
    assert branches.take(SESSION, [1], 16) == []


def test_a_branch_after_another_text_is_not_given() -> None:
    branches = with_drafts((2, [5, 6], [1, 2]))
    assert branches.take(SESSION, [3, 4], 16) == []
    assert branches.counts.stale == 2


def test_a_branch_waits_until_the_answer_reaches_it() -> None:
    branches = with_drafts((3, [4, 5], [3]))
    assert branches.take(SESSION, [1, 2], 16) == []
    assert branches.take(SESSION, [1, 2, 3], 16) == [4, 5]


def test_drafts_may_know_tokens_of_the_prompt() -> None:
    branches = with_drafts((1, [5], [90, 91, 4]))
    assert branches.take(SESSION, [4], 16) == [5]


def test_sessions_never_see_each_other() -> None:
    branches = with_drafts((0, [1], []))
    assert branches.take("session-2", [], 16) == []


def test_a_session_is_claimed_once() -> None:
    branches = Branches()
    assert branches.claim(SESSION)
    assert not branches.claim(SESSION)
    assert branches.claim("session-2")


def test_what_comes_after_the_end_is_dropped() -> None:
    branches = with_drafts((0, [1, 2], []))
    branches.forget(SESSION)
    branches.put(SESSION, 0, [3], [])
    assert (len(branches), branches.counts.unused, branches.counts.ended) == (0, 2, 1)


def test_a_session_that_begins_again_takes_drafts_again() -> None:
    branches = Branches()
    branches.forget(SESSION)
    assert branches.claim(SESSION)
    branches.put(SESSION, 0, [3], [])
    assert branches.take(SESSION, [], 16) == [3]


def test_only_sessions_that_nobody_claimed_expire() -> None:
    branches = with_drafts((0, [1, 2], []))
    branches.claim("session-2")
    branches.expire()
    assert len(branches) == 2
    branches.expire()
    assert len(branches) == 1
    assert branches.counts.unused == 2


@pytest.mark.parametrize(
    ("branches", "kept"),
    [
        (Branches(max_tokens=3), [1, 2, 3]),
        (Branches(max_sessions=0), []),
        (Branches(max_grounds=0), []),
    ],
)
def test_what_finds_no_room_is_lost_and_counted(branches: Branches, kept: list[int]) -> None:
    branches.put(SESSION, 0, [1, 2, 3, 4], [])
    assert branches.take(SESSION, [], 16) == kept
    assert branches.counts.crowded == 4 - len(kept)


def test_a_position_takes_a_bounded_number_of_guesses_until_the_answer_passes_it() -> None:
    branches = Branches()
    branches.put(SESSION, 0, [1], [])
    for guess in range(200):
        branches.put(SESSION, 1, [guess, 5], [1])
    assert branches.counts.crowded == 2 * (200 - MAX_ALTERNATIVES)
    branches.put(SESSION, 1, [0, 5, 6], [1])
    assert branches.take(SESSION, [1], 16) == [0, 5, 6], "the first guess is extended as ever"
    assert branches.take(SESSION, [1, 0], 16) == [5, 6]
    branches.put(SESSION, 2, [7], [0])
    assert branches.take(SESSION, [1, 0, 7], 16) == []
    assert branches.counts.crowded == 2 * (200 - MAX_ALTERNATIVES), "the others have gone"


def test_the_age_of_drafts_is_that_of_the_oldest_that_is_new() -> None:
    branches = Branches()
    branches.put(SESSION, 0, [1], [], now=100)
    branches.put(SESSION, 1, [2], [1], now=200)
    branches.take(SESSION, [], 16, now=350)
    assert branches.counts.age_us == 250
    branches.put(SESSION, 2, [3], [1, 2], now=400)
    branches.take(SESSION, [1, 2], 16, now=410)
    assert branches.counts.age_us == 260
