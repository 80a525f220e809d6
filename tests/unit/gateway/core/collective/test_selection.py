from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.collective.options import MemberFilter
from gateway.core.collective.quorum import answers_needed, grace_ends, step_deadline
from gateway.core.collective.selection import (
    Candidate,
    Caps,
    Prior,
    choose,
    expected_quality,
    obstacle,
    scored,
)
from gateway.core.devices.member import MemberCondition
from gateway.core.privacy import PUBLIC
from gateway.core.state.operations import Mean
from tests.unit.gateway.core.collective.build import candidate, member

PRIOR = Prior(0.5, 4.0)
CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.text("abcdef", min_size=1, max_size=3),
        st.floats(-1, 1),
        st.floats(0, 1),
        st.floats(0, 100),
        st.floats(0, 10),
        st.floats(1, 100),
    ),
    max_size=12,
    unique_by=lambda c: c.member.id,
)


def chosen(candidates: list[Candidate], **caps: float) -> list[str]:
    return [one.id for one in choose(candidates, Caps(**{"members": 5, **caps}), PRIOR).chosen]  # type: ignore[arg-type]


def test_the_closest_description_comes_first() -> None:
    assert chosen([candidate("far", 0.1), candidate("near", 0.6)]) == ["near", "far"]


def test_measured_quality_beats_a_fine_description() -> None:
    boaster = candidate("boaster", 0.6, quality=0.1, seen=50)
    steady = candidate("steady", 0.4, quality=0.9, seen=50)
    assert chosen([boaster, steady]) == ["steady", "boaster"]


def test_a_few_observations_weigh_little_against_the_prior() -> None:
    assert expected_quality(Mean(), PRIOR) == PRIOR.quality
    assert expected_quality(Mean(1.0, 1.0), PRIOR) == pytest.approx(0.6)
    assert expected_quality(Mean(1.0, 96.0), PRIOR) == pytest.approx(0.98)


def test_members_of_the_session_are_preferred_but_vote_no_heavier() -> None:
    familiar, equal = candidate("z", familiar=True), candidate("a")
    assert chosen([familiar, equal]) == ["z", "a"]
    assert scored(familiar, PRIOR).merit == scored(equal, PRIOR).merit


def test_how_many_follows_from_the_caps() -> None:
    five = [candidate(name) for name in "abcde"]
    assert chosen(five, members=3) == ["a", "b", "c"]
    assert chosen(five, tokens=25.0) == ["a", "b"]
    assert chosen(five, cost=0.35, price=0.01) == ["a", "b", "c"]
    assert chosen([*five, candidate("slow", 0.9, seconds=9)], seconds=5.0) == list("abcde")


def test_one_too_dear_is_left_out() -> None:
    found = choose(
        [candidate("dear", 0.9, tokens=99), candidate("cheap")], Caps(members=5, tokens=50), PRIOR
    )
    assert [one.id for one in found.chosen] == ["cheap"]
    assert found.spare == []


def test_those_beyond_the_number_stand_by() -> None:
    found = choose([candidate(name) for name in "abcd"], Caps(members=2), PRIOR)
    assert [one.id for one in found.spare] == ["c", "d"]


def test_one_that_would_break_a_cap_does_not_stand_by() -> None:
    dear, cheap = candidate("dear", 0.1, tokens=21), candidate("cheap", 0.1, tokens=20)
    two = [candidate("a", tokens=10), candidate("b", tokens=10)]
    found = choose([*two, dear, cheap], Caps(members=2, tokens=30), PRIOR)
    assert [one.id for one in found.spare] == ["cheap"]
    found = choose([*two, dear, cheap], Caps(members=2, cost=0.3, price=0.01), PRIOR)
    assert [one.id for one in found.spare] == ["cheap"]


def test_the_asking_device_is_always_in() -> None:
    found = choose(
        [candidate("best", 0.9), candidate("asking", 0.0)], Caps(members=1), PRIOR, "asking"
    )
    assert [one.id for one in found.chosen] == ["asking"]


@given(CANDIDATES, st.integers(1, 6), st.floats(1, 300), st.floats(0.1, 3))
def test_no_cap_is_ever_broken(
    candidates: list[Candidate], members: int, tokens: float, cost: float
) -> None:
    caps = Caps(members=members, seconds=5.0, tokens=tokens, cost=cost, price=0.01)
    found = choose(candidates, caps, PRIOR)
    assert len(found.chosen) <= members
    assert sum(one.candidate.tokens for one in found.chosen) <= tokens + 1e-6
    assert sum(one.candidate.tokens for one in found.chosen) * 0.01 <= cost + 1e-6
    assert all(one.candidate.seconds <= 5.0 for one in (*found.chosen, *found.spare))
    ids = [one.id for one in (*found.chosen, *found.spare)]
    assert len(ids) == len(set(ids)) and set(ids) <= {c.member.id for c in candidates}


@given(CANDIDATES)
def test_the_order_in_which_members_are_listed_makes_no_difference(
    candidates: list[Candidate],
) -> None:
    assert chosen(candidates) == chosen(candidates[::-1])


@pytest.mark.parametrize(
    ("fields", "filter", "owner", "reason"),
    [
        ({}, MemberFilter(), "", None),
        ({"abilities": frozenset()}, MemberFilter(), "", "unable"),
        ({"privacy": "private"}, MemberFilter(), "ann", "private"),
        ({"privacy": "owner", "owner": "ann"}, MemberFilter(), "ann", None),
        ({"privacy": "owner", "owner": "ann"}, MemberFilter(), "bob", "private"),
        ({"privacy": "owner"}, MemberFilter(), "", "private"),
        ({"condition": MemberCondition(hot=True)}, MemberFilter(), "", "hot"),
        ({"condition": MemberCondition(working=1)}, MemberFilter(), "", "busy"),
        ({}, MemberFilter(ids=frozenset({"other"})), "", "not-named"),
        ({}, MemberFilter(ids=frozenset({"me"})), "", None),
        ({"tags": frozenset({"code"})}, MemberFilter(tags=frozenset({"maths"})), "", "tags"),
        ({"tags": frozenset({"code"})}, MemberFilter(tags=frozenset({"maths", "code"})), "", None),
    ],
)
def test_who_may_be_asked(
    fields: dict[str, Any], filter: MemberFilter, owner: str, reason: str | None
) -> None:
    assert obstacle(member("me", **fields), filter, owner, PUBLIC) == reason


def test_a_quorum_is_a_number_or_a_share_rounded_up() -> None:
    assert [answers_needed(n, None, 0.66) for n in (0, 1, 2, 3, 5)] == [1, 1, 2, 2, 4]
    assert answers_needed(5, 2, 0.66) == 2


def test_the_grace_is_a_share_of_the_time_until_the_quorum() -> None:
    assert grace_ends(10.0, 12.0, 0.5, 100.0) == 13.0
    assert grace_ends(10.0, 12.0, 0.5, 12.5) == 12.5


def test_rounds_share_the_time_that_is_left() -> None:
    assert step_deadline(10.0, 40.0, 3) == 20.0
    assert step_deadline(50.0, 40.0, 3) == 50.0
    assert math.isclose(step_deadline(0.0, 9.0, 1), 9.0)
