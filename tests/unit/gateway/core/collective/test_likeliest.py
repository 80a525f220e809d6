"""The choice by likelihood ends early, and never otherwise than with everything known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.collective.answers import Reading
from gateway.core.collective.likeliest import (
    MAX_ANSWERS,
    Logprobs,
    answers_to_score,
    distinct_answers,
    likeliest,
    mostly_short,
)
from gateway.core.collective.voting import Ballot, best_first

TEXTS = [
    "Answer: 1",
    "I say\nAnswer: 1",
    "Answer: 2",
    "so it is\nAnswer: 2",
    "Answer: 3",
    "long and vague",
    "no idea",
]
LOGPROBS = st.lists(st.floats(-4.0, 0.0), min_size=1, max_size=4)


def ballot(voter: str, text: str, weight: float = 1.0) -> Ballot:
    return Ballot(voter=voter, reading=Reading(text), weight=weight)


@st.composite
def votes(draw: st.DrawFn) -> tuple[list[Ballot], dict[str, list[float]]]:
    """Ballots of weights from a few, so that ties come up, and what a model makes of each text."""
    count = draw(st.integers(1, 5))
    weights = st.sampled_from([0.25, 0.5, 1.0, 1.5])
    found = [
        ballot(f"device-{n}", draw(st.sampled_from(TEXTS)), draw(weights)) for n in range(count)
    ]
    found.sort(key=lambda one: -one.weight)
    return found, {text: draw(LOGPROBS) for text in TEXTS}


def best_of_all(ballots: Sequence[Ballot], weighed: Logprobs) -> str:
    """The definition: everything is weighed, the first of the best wins."""
    short = mostly_short(ballots)

    def score(place: int) -> float:
        values = weighed[found[place].text]
        return (sum(values) if short else sum(values) / len(values)) + math.log(found[place].weight)

    found = distinct_answers(ballots)
    return found[max(range(len(found)), key=score)].text


@given(votes(), st.sets(st.sampled_from(TEXTS)))
def test_what_is_certain_early_is_what_would_win_in_the_end(
    drawn: tuple[list[Ballot], dict[str, list[float]]], known: set[str]
) -> None:
    ballots, weighed = drawn
    winner = likeliest(ballots, {text: weighed[text] for text in known})
    if winner is not None:
        assert winner.text == best_of_all(ballots, weighed)


@given(votes())
def test_weighing_what_can_still_win_comes_to_an_end_with_the_best(
    drawn: tuple[list[Ballot], dict[str, list[float]]],
) -> None:
    ballots, weighed = drawn
    known: dict[str, list[float]] = {}
    while (winner := likeliest(ballots, known)) is None:
        wanted = answers_to_score(ballots, known)
        assert wanted and not any(one.text in known for one in wanted)
        known[wanted[0].text] = weighed[wanted[0].text]
    assert winner.text == best_of_all(ballots, weighed)


@settings(max_examples=1000)
@given(votes(), votes(), st.sets(st.sampled_from(TEXTS)))
def test_no_answer_to_come_changes_what_is_certain_without_it(
    drawn: tuple[list[Ballot], dict[str, list[float]]],
    late: tuple[list[Ballot], dict[str, list[float]]],
    known: set[str],
) -> None:
    ballots, weighed = drawn
    expected = [one.weight for one in late[0]]
    winner = likeliest(ballots, {text: weighed[text] for text in known}, expected)
    everybody = best_first(
        [
            *ballots,
            *(ballot(f"late-{one.voter}", one.reading.text, one.weight) for one in late[0]),
        ]
    )
    if winner is not None:
        assert winner.text == best_of_all(everybody, weighed)


def test_a_heavier_member_may_put_its_own_words_in_the_place_of_those_weighed() -> None:
    ballots = [ballot("a", "Answer: 42"), ballot("b", "Answer: 42"), ballot("c", "Answer: 43")]
    weighed = {"Answer: 42": [-0.01], "Answer: 43": [-1.0]}
    assert likeliest(ballots, weighed, [0.5]) is not None
    assert likeliest(ballots, weighed, [1.1]) is None


def test_the_words_of_a_loser_may_be_exchanged_for_better_ones() -> None:
    ballots = [ballot("a", "Answer: 42", 2.0), ballot("c", "Answer: 43", 0.5)]
    weighed = {"Answer: 42": [-0.9], "Answer: 43": [-9.0]}
    assert likeliest(ballots, weighed, [0.4]) is not None
    assert likeliest(ballots, weighed, [0.6]) is None


def test_many_new_answers_may_push_one_out_of_those_that_are_weighed() -> None:
    ballots = [ballot(f"device-{n}", "Answer: X", 0.1) for n in range(10)]
    weighed = {"Answer: X": [-0.01]}
    assert likeliest(ballots, weighed, [0.1] * 2) is not None
    assert likeliest(ballots, weighed, [0.01] * MAX_ANSWERS) is None


def test_an_answer_far_behind_is_not_weighed_with_the_first() -> None:
    ballots = [ballot("a", "Answer: 1", 3.0), ballot("b", "Answer: 2", 2.0),
               ballot("c", "Answer: 3", 1.0)]  # fmt: skip
    assert [one.text for one in answers_to_score(ballots, {})] == ["Answer: 1", "Answer: 2"]


def test_when_the_heaviest_is_unlikely_all_others_are_weighed() -> None:
    ballots = [ballot("a", "Answer: 1", 3.0), ballot("b", "Answer: 2", 2.0),
               ballot("c", "Answer: 3", 1.0)]  # fmt: skip
    left = answers_to_score(ballots, {"Answer: 1": [-5.0]})
    assert [one.text for one in left] == ["Answer: 2", "Answer: 3"]


def test_a_certain_answer_of_the_heaviest_ends_it_at_once() -> None:
    ballots = [ballot("a", "Answer: 1", 3.0), ballot("b", "Answer: 2", 2.0)]
    winner = likeliest(ballots, {"Answer: 1": [-0.1, -0.1]})
    assert winner is not None and winner.text == "Answer: 1"
    assert answers_to_score(ballots, {"Answer: 1": [-0.1, -0.1]}) == []


def test_a_member_still_expected_may_outweigh_it() -> None:
    ballots = [ballot("a", "Answer: 1", 1.0), ballot("b", "Answer: 2", 0.2)]
    weighed = {"Answer: 1": [-0.1], "Answer: 2": [-3.0]}
    assert likeliest(ballots, weighed, [0.5]) is not None
    assert likeliest(ballots, weighed, [0.95]) is None
