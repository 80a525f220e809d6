from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.speculation.job import DraftRun
from gateway.core.speculation.predicted_text import INDEXED, REACH, PredictedText
from services.vllm_server.race.branches import Branches

PER_STEP = 16
SESSION = "s" * 8
texts = st.lists(st.integers(0, 5), max_size=60)
distinct = st.permutations(range(300)).map(list)


def batches(ids: Sequence[int], sizes: Sequence[int]) -> list[Sequence[int]]:
    """The ids in batches of these sizes, over and over."""
    found, begin, number = [], 0, 0
    while begin < len(ids):
        end = begin + sizes[number % len(sizes)]
        found.append(ids[begin:end])
        begin, number = end, number + 1
    return found


def steps(text: Sequence[int], answer: Sequence[int], lag: int = 1) -> int:
    """Steps of an engine that gives `answer`, with drafts by `text` that come `lag` steps after the
    tokens by which they were made. The first step is that of the prompt."""
    predicted, branches = PredictedText(ids=text, per_step=PER_STEP), Branches()
    branches.claim(SESSION)
    waiting: list[list[DraftRun]] = [predicted.begin()]
    waiting += [[] for _ in range(lag - 1)]
    given, count = list(answer[:1]), 1
    waiting.append(predicted.advance(given))
    while len(given) < len(answer):
        for position, ids, before in waiting.pop(0):
            branches.put(SESSION, position, ids, before)
        drafts = branches.take(SESSION, given, min(PER_STEP, len(answer) - len(given) - 1))
        begin = len(given)
        right = 0
        while right < len(drafts) and drafts[right] == answer[begin + right]:
            right += 1
        new = answer[begin : begin + right + 1]
        given += new
        waiting.append(predicted.advance(new))
        count += 1
    return count


@given(texts, texts, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_a_run_is_a_piece_of_the_text_that_goes_on_from_the_answer(
    text: list[int], answer: list[int], sizes: list[int]
) -> None:
    predicted = PredictedText(ids=text, per_step=PER_STEP)
    offers = [(0, predicted.begin())]
    given: list[int] = []
    for batch in batches(answer, sizes):
        given += batch
        offers.append((len(given), predicted.advance(batch)))
    for length, runs in offers:
        assert sum(len(ids) for _, ids, _ in runs) <= REACH + 3 * PER_STEP
        for position, ids, before in runs:
            assert length <= position <= length + REACH and ids
            assert any(text[n : n + len(ids)] == list(ids) for n in range(len(text)))
            shared = before[: max(0, len(before) - (position - length))]
            assert not shared or given[length - len(shared) : length] == list(shared)
    assert predicted.answer == answer
    assert predicted.accepted <= min(len(text), len(answer))


@given(distinct)
def test_a_right_text_is_offered_once_and_all_of_it_comes_true(text: list[int]) -> None:
    predicted = PredictedText(ids=text, per_step=PER_STEP)
    runs = predicted.begin()
    for batch in batches(text, [5, 17, 1]):
        runs += predicted.advance(batch)
    assert [token for _, ids, _ in runs for token in ids] == text
    assert [position for position, _, _ in runs] == sorted({run[0] for run in runs})
    assert predicted.accepted == len(text)


@given(distinct, st.integers(20, 250), st.integers(0, 12), st.integers(0, 12), st.data())
def test_after_an_edit_the_text_is_found_again(
    text: list[int], place: int, removed: int, added: int, data: st.DataObject
) -> None:
    """Tokens replaced, left out or put in: only these, and two by which the place is known, are
    not predicted."""
    new = data.draw(st.permutations(range(1000, 1000 + added)))
    answer = [*text[:place], *new, *text[place + removed :]]
    predicted = PredictedText(ids=text, per_step=PER_STEP)
    predicted.begin()
    for batch in batches(answer, [3]):
        predicted.advance(batch)
    assert predicted.accepted >= len(text) - removed - 5


@given(distinct, st.integers(10, 140), st.integers(150, 290))
def test_a_block_that_moved_is_found_again(text: list[int], one: int, two: int) -> None:
    answer = [*text[one:two], *text[:one], *text[two:]]
    predicted = PredictedText(ids=text, per_step=PER_STEP)
    predicted.begin()
    for batch in batches(answer, [1]):
        predicted.advance(batch)
    assert predicted.accepted >= len(text) - 3 * 4


@given(texts, texts)
def test_no_text_costs_a_step(text: list[int], answer: list[int]) -> None:
    assert steps(text, [*answer, 9]) <= len(answer) + 1


@pytest.mark.parametrize("lag", [1, 2])
def test_edits_cost_few_steps(lag: int) -> None:
    text = list(range(320))
    answer = list(text)
    for place in range(40, 320, 40):
        answer[place] = 1000 + place
    # 20 full steps, and beside them the answer's own tokens until new drafts are there.
    assert steps(text, answer, lag) <= 20 + 7 * (2 + lag) + 1


def test_a_text_that_may_be_quoted_is_offered_where_the_answer_begins_to() -> None:
    predicted = PredictedText(ids=list(range(100)), per_step=PER_STEP, starts=False)
    assert predicted.begin() == []
    assert predicted.advance([500, 40]) == []
    ((position, ids, before),) = predicted.advance([41, 42])
    assert (position, ids[:2], before) == (4, [43, 44], [500, 40, 41, 42])


def test_a_place_far_on_in_a_large_text_is_found_once_the_index_has_come_there() -> None:
    text = list(range(4 * INDEXED))
    predicted = PredictedText(ids=text, per_step=PER_STEP, starts=False)
    far = 3 * INDEXED + 5
    said = [predicted.advance([token]) for token in text[far : far + 6]]
    assert said[1] == said[2] == [], "one call does not index it all"
    ((position, ids, _),) = said[4]
    assert (position, ids[0]) == (5, far + 5)


def test_what_is_wrong_again_and_again_is_offered_less_and_less() -> None:
    """An answer that has nothing but pairs in common with the text."""
    text = [token for number in range(200) for token in (1, 2, 1000 + number)]
    answer = [token for number in range(200) for token in (1, 2, 2000 + number)]
    predicted = PredictedText(ids=text, per_step=PER_STEP)
    early = [predicted.advance([token]) for token in answer[:30]]
    late = [predicted.advance([token]) for token in answer[30:]]
    assert any(early)
    assert sum(len(ids) for runs in late for _, ids, _ in runs) == 0
