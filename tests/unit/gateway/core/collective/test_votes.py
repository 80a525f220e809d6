from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.collective import voting
from gateway.core.collective.answers import MAX_WORDS, Reading, agreement
from gateway.core.collective.early_exit import Exit, early_exit
from gateway.core.collective.voting import Agreements, Ballot, confidence, unweighted, vote
from tests.unit.gateway.core.collective.build import ballots

ANSWERS = st.lists(st.sampled_from("abc"), min_size=1, max_size=8)
WEIGHTS = st.floats(0.01, 1.0)


def test_most_votes_win() -> None:
    verdict = vote(ballots("Answer: 4", "Answer: 5", "it is 5?\nAnswer: 5"))
    assert verdict.winner.reading.final == "5"
    assert (verdict.support, verdict.runner_up, verdict.total) == (2.0, 1.0, 3.0)
    assert verdict.disagreement


def test_weight_may_beat_number() -> None:
    found = ballots("4", "5", "5", weights=(0.9, 0.2, 0.3))
    assert vote(found).winner.reading.text == "4"
    assert vote(unweighted(found)).winner.reading.text == "5"


def test_of_long_texts_the_one_closest_to_all_wins() -> None:
    middle = "we walk to the old house\nby the river today"
    far = "quantum fields commute at a distance\nas everybody knows well"
    near = "we walk to the old house\nby the sea today"
    assert (
        vote(
            ballots(far, middle, near, "we walk to the house\nby the river today")
        ).winner.reading.text
        == middle
    )


@given(ANSWERS)
def test_without_weights_it_is_the_plurality(answers: list[str]) -> None:
    winner = vote(ballots(*answers)).winner.reading.text
    assert answers.count(winner) == max(answers.count(a) for a in answers)


@given(ANSWERS, st.data())
def test_support_and_runner_up_never_exceed_the_total(
    answers: list[str], data: st.DataObject
) -> None:
    weights = tuple(data.draw(WEIGHTS) for _ in answers)
    verdict = vote(ballots(*answers, weights=weights))
    assert verdict.runner_up <= verdict.support + 1e-9
    assert verdict.support + verdict.runner_up <= verdict.total + 1e-9


def test_confidence_is_bounded_whatever_a_device_claims() -> None:
    assert confidence(None) == 0.5
    assert confidence(0.0) == confidence(5.0) == 1.0
    assert 0.0 < confidence(-1e9) < 0.1
    assert confidence(math.nan) == confidence(-math.inf) == 0.5


def exit_of(
    found: list[Ballot], outstanding: float, decisive: bool, quorum: int = 2
) -> Exit | None:
    return early_exit(found, outstanding, quorum=quorum, agreement=1.0, decisive=decisive)


def test_two_that_agree_are_enough_and_one_is_not() -> None:
    assert exit_of(ballots("4"), 2.0, decisive=False, quorum=1) is None
    assert exit_of(ballots("4", "4"), 1.0, decisive=False) is Exit.AGREED
    assert exit_of(ballots("4", "4"), 1.0, decisive=False, quorum=3) is None


def test_those_who_disagree_are_waited_for_unless_a_vote_is_decided() -> None:
    found = ballots("4", "4", "4", "5")
    assert exit_of(found, 1.0, decisive=False) is None
    assert exit_of(found, 1.0, decisive=True) is Exit.DECIDED
    assert exit_of(found, 2.0, decisive=True) is None, "the others could make it a tie"


@given(ANSWERS, ANSWERS, st.data())
def test_whoever_is_outstanding_can_not_change_a_decided_vote(
    answers: list[str], later: list[str], data: st.DataObject
) -> None:
    weights = tuple(data.draw(WEIGHTS) for _ in answers)
    most = tuple(data.draw(WEIGHTS) for _ in later)
    found = ballots(*answers, weights=weights)
    if exit_of(found, sum(most), decisive=True, quorum=99) is not Exit.DECIDED:
        return
    actual = tuple(data.draw(st.floats(0.001, w)) if w > 0.001 else w for w in most)
    after = vote(ballots(*answers, *later, weights=weights + actual))
    assert after.winner.reading.key == vote(found).winner.reading.key


def test_agreement_of_the_weak_does_not_silence_a_better_member() -> None:
    weak = ballots("41", "41", weights=(0.05, 0.05))
    found = early_exit(weak, 0.5, quorum=2, agreement=1.0, decisive=False, best_answered=False)
    assert found is None
    heavy = ballots("42", "42", weights=(0.4, 0.4))
    found = early_exit(heavy, 0.5, quorum=2, agreement=1.0, decisive=False, best_answered=False)
    assert found is Exit.AGREED, "what it says could not outweigh them"


def test_two_answers_are_compared_once_however_often_is_voted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[frozenset[str]] = []

    def counted(one: Reading, other: Reading) -> float:
        compared.append(frozenset((one.text, other.text)))
        return agreement(one, other)

    monkeypatch.setattr(voting, "agreement", counted)
    agree = Agreements()
    found = ballots(*(f"line {n}\nof a text" for n in range(6)))
    for heard in range(1, 7):
        early_exit(found[:heard], 1.0, quorum=2, agreement=1.0, decisive=True, agree=agree)
    assert vote(found, agree) == vote(found)
    assert len(compared) == len(set(compared)) == 6 * 7 // 2


def test_of_long_texts_only_the_beginning_is_compared() -> None:
    head = " ".join(f"word{n}" for n in range(MAX_WORDS)) + "\n"
    assert agreement(Reading(head + "one " * 5000), Reading(head + "other " * 5000)) == 1.0
    assert Reading("w " * 20_000).pairs.total() <= 512
