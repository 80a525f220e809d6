"""Who is served next, who gives way, and how long it takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.admission import (
    LONGEST_RETRY_S,
    SHORTEST_RETRY_S,
    AdmissionLimits,
    AdmissionQueue,
    expected_wait_s,
    is_hopeless,
    retry_after_s,
)
from gateway.protocol.headers import HIGHEST_PRIORITY, LOWEST_PRIORITY

LIMITS = AdmissionLimits(max_in_flight=4, max_queue=8, max_wait_s=10.0)


@dataclass(eq=False)
class Place:
    caller: str
    priority: int = 5
    number: int = 0


PLACES = st.lists(
    st.builds(Place, st.sampled_from("abc"), st.integers(LOWEST_PRIORITY, HIGHEST_PRIORITY)),
    max_size=30,
)


def queue_of(*places: Place) -> AdmissionQueue[Place]:
    queue: AdmissionQueue[Place] = AdmissionQueue()
    for number, place in enumerate(places):
        place.number = number
        queue.push(place)
    return queue


def emptied(queue: AdmissionQueue[Place]) -> list[Place]:
    served = []
    while place := queue.pop():
        served.append(place)
    return served


@given(PLACES)
def test_everybody_is_served_once_the_urgent_first_and_each_caller_in_its_order(
    places: list[Place],
) -> None:
    queue = queue_of(*places)
    served = emptied(queue)
    assert len(queue) == 0
    assert sorted(place.number for place in served) == list(range(len(places)))
    priorities = [place.priority for place in served]
    assert priorities == sorted(priorities, reverse=True)
    for caller in "abc":
        for priority in set(priorities):
            own = [p.number for p in served if (p.caller, p.priority) == (caller, priority)]
            assert own == sorted(own)


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_callers_take_turns_whatever_number_of_requests_each_has(callers: list[str]) -> None:
    served = [place.caller for place in emptied(queue_of(*map(Place, callers)))]
    left = Counter(callers)
    last: dict[str, int] = {}
    for turn, caller in enumerate(served):
        # Nobody is served twice while another who still waits is not served once.
        since = set(served[last.get(caller, -1) + 1 : turn])
        if caller in last:
            assert {other for other, number in left.items() if number} <= since | {caller}
        last[caller] = turn
        left[caller] -= 1


@given(PLACES, st.data())
def test_a_request_that_leaves_is_gone_and_the_others_keep_their_turns(
    places: list[Place], data: st.DataObject
) -> None:
    queue = queue_of(*places)
    gone = data.draw(st.lists(st.sampled_from(places), unique_by=id) if places else st.just([]))
    assert all(queue.remove(place) for place in gone)
    assert not any(queue.remove(place) for place in gone)
    assert len(queue) == len(places) - len(gone)
    assert {id(place) for place in queue} == {id(p) for p in places} - {id(p) for p in gone}
    assert len(emptied(queue)) == len(places) - len(gone)


@given(PLACES, st.sampled_from("abcd"), st.integers(LOWEST_PRIORITY, HIGHEST_PRIORITY))
def test_how_many_are_ahead_is_how_many_are_served_before(
    places: list[Place], caller: str, priority: int
) -> None:
    queue = queue_of(*places)
    ahead = queue.ahead_of(caller, priority)
    newcomer = Place(caller, priority)
    queue.push(newcomer)
    before = emptied(queue).index(newcomer)
    # Others of the same priority may have had their turn, or have it still to come.
    assert ahead - len("abc") <= before <= ahead


@given(PLACES, st.sampled_from("abcd"), st.integers(LOWEST_PRIORITY, HIGHEST_PRIORITY))
def test_who_gives_way_is_less_urgent_or_of_a_caller_with_more(
    places: list[Place], caller: str, priority: int
) -> None:
    queue = queue_of(*places)
    lines = Counter((place.caller, place.priority) for place in places)
    own = lines[caller, priority]
    victim = queue.victim_of(caller, priority)
    lowest = min((place.priority for place in places), default=HIGHEST_PRIORITY + 1)
    if victim is None:
        assert lowest > priority or (
            lowest == priority
            and all(n <= own + 1 for (_, level), n in lines.items() if level == priority)
        )
        return
    assert victim.priority == lowest <= priority
    if victim.priority == priority:
        assert lines[victim.caller, priority] > own + 1
    newest = [p for p in places if (p.caller, p.priority) == (victim.caller, victim.priority)]
    assert victim is newest[-1]


def test_a_flood_of_one_caller_keeps_nobody_else_out_of_a_full_queue() -> None:
    queue = queue_of(*(Place("flood") for _ in range(8)))
    victim = queue.victim_of("other", 5)
    assert victim is not None and victim.caller == "flood"
    assert queue.victim_of("flood", 5) is None
    assert queue.victim_of("flood", 9) is not None


@given(st.integers(0, 100), st.floats(0.001, 1000))
def test_a_wait_grows_with_the_queue_and_with_the_time_that_requests_take(
    ahead: int, service_s: float
) -> None:
    wait = expected_wait_s(ahead, service_s, LIMITS)
    assert wait > 0
    assert expected_wait_s(ahead + 1, service_s, LIMITS) > wait
    assert expected_wait_s(ahead, service_s * 2, LIMITS) > wait


def test_a_deadline_is_hopeless_only_where_the_wait_is_far_longer() -> None:
    assert is_hopeless(1.0, 3.0)
    assert not is_hopeless(1.0, 1.5)


@given(st.integers(0, 10_000), st.none() | st.floats(0.001, 1000))
def test_a_refused_request_is_told_a_time_that_makes_sense(
    queued: int, service_s: float | None
) -> None:
    assert SHORTEST_RETRY_S <= retry_after_s(queued, service_s, LIMITS) <= LONGEST_RETRY_S


def test_the_time_to_come_again_is_that_of_the_queue() -> None:
    # Four places, two seconds each: two requests a second come through.
    assert retry_after_s(19, 2.0, LIMITS) == 10.0
