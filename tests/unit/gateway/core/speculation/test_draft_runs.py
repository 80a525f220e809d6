from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.draft_runs import MAX_RUNS, MAX_TOKENS, DraftRuns
from gateway.core.speculation.job import DraftRun

IDS = st.lists(st.integers(0, 2), max_size=8)
RUNS = st.lists(
    st.tuples(st.integers(0, 10), st.lists(st.integers(0, 2), min_size=1, max_size=6), IDS),
    max_size=6,
)


def kept(*runs: DraftRun) -> DraftRuns:
    drafts = DraftRuns()
    for run in runs:
        assert drafts.put(run)
    return drafts


def test_drafts_go_on_where_the_text_is() -> None:
    drafts = kept((0, [1, 2, 3, 4], []))
    assert drafts.next([1, 2], 16) == [3, 4]


def test_one_run_goes_on_after_another() -> None:
    drafts = kept((4, [5, 6], [3, 4]), (1, [2, 3, 4], [1]), (6, [7], [5, 6]))
    assert drafts.next([1], 16) == [2, 3, 4, 5, 6, 7]
    assert drafts.next([1], 4) == [2, 3, 4, 5]


def test_a_run_after_another_text_is_no_draft() -> None:
    assert kept((2, [3], [1, 9])).next([1, 2], 16) == []
    assert kept((2, [3, 4], [1, 2])).next([1, 2, 8], 16) == []


def test_of_two_branches_the_first_is_tried_until_the_text_contradicts_it() -> None:
    drafts = kept((1, [2, 8, 8], [1]), (1, [2, 3, 4], [1]))
    assert drafts.next([1], 16) == [2, 8, 8]
    assert drafts.next([1, 2, 3], 16) == [4]


def test_what_is_passed_is_forgotten() -> None:
    drafts = kept((0, [1, 2], []), (1, [9], []))
    assert drafts
    drafts.next([1, 2], 16)
    assert not drafts


def test_drafts_without_room_are_lost_until_others_are_done() -> None:
    drafts = DraftRuns()
    assert all(drafts.put((0, [1], [])) for _ in range(MAX_RUNS))
    assert not drafts.put((0, [1], []))
    drafts.next([1], 1)
    assert drafts.put((1, [1] * MAX_TOKENS, []))
    assert not drafts.put((1, [1], []))


@given(RUNS, IDS, st.integers(0, 16))
def test_drafts_are_what_some_runs_say_after_this_text(
    runs: list[DraftRun], text: list[int], limit: int
) -> None:
    drafts = kept(*runs).next(text, limit)
    assert len(drafts) <= limit
    whole = [*text, *drafts]
    for place in range(len(text), len(whole)):
        assert any(
            position <= place < position + len(ids)
            and ids[: place - position + 1] == whole[position : place + 1]
            for position, ids, _ in runs
        )


@given(RUNS, IDS)
def test_a_run_that_continues_the_text_is_found(runs: list[DraftRun], text: list[int]) -> None:
    right = (len(text), [1], text[-4:])
    assert kept(*runs, right).next(text, 1) != []
