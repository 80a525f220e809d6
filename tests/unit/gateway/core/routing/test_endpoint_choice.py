from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routing.pickers import PICKERS
from gateway.core.routing.profile import build_profile
from gateway.core.routing.scorers import SCORERS
from gateway.core.types import EndpointState
from gateway.errors import ConfigError
from gateway.settings import shipped_profiles
from tests.unit.gateway.build import ejection_rule, request, routing, state


def replicas(count: int) -> list[EndpointState]:
    return [state(f"edge:{index}") for index in range(count)]


def chosen(states: list[EndpointState], **fields: object) -> str:
    asked = request("rill-edge", **fields)
    return routing("edge").choose(asked, states, 0.0, lambda: 0.0).state.endpoint.id


def test_the_least_loaded_replica_is_picked() -> None:
    states = replicas(3)
    states[0].in_flight, states[1].running, states[2].in_flight = 5, 4, 1
    assert chosen(states) == "edge:2"


def test_a_replica_with_a_fuller_kv_cache_comes_second() -> None:
    states = replicas(2)
    states[0].kv_use = 0.9
    assert chosen(states) == "edge:1"


def test_the_same_prompt_head_and_the_same_session_stay_together() -> None:
    states = replicas(5)
    assert len({chosen(states, prefix_key=b"a" * 16) for _ in range(3)}) == 1
    assert len({chosen(states, session="s-1") for _ in range(3)}) == 1


def test_a_prompt_stays_with_its_replica_while_that_is_little_busier() -> None:
    states = replicas(2)
    owner = chosen(states, prefix_key=b"k" * 16)
    busy = next(s for s in states if s.endpoint.id == owner)
    busy.in_flight = 1
    assert chosen(states, prefix_key=b"k" * 16) == owner
    busy.in_flight = 8
    assert chosen(states, prefix_key=b"k" * 16) != owner


def test_requests_that_have_ended_since_the_scrape_are_no_load() -> None:
    states = replicas(2)
    owner = chosen(states, prefix_key=b"k" * 16)
    busy = next(s for s in states if s.endpoint.id == owner)
    busy.running, busy.in_flight_at_scrape, busy.in_flight = 9, 9, 0
    assert chosen(states, prefix_key=b"k" * 16) == owner


def test_different_prompts_spread_over_the_replicas() -> None:
    states = replicas(4)
    found = Counter(chosen(states, prefix_key=bytes([i]) * 16) for i in range(200))
    assert set(found) == {s.endpoint.id for s in states}
    assert max(found.values()) < 100


def test_when_a_replica_leaves_only_its_own_prompts_move() -> None:
    states = replicas(5)
    keys = [bytes([i]) * 16 for i in range(60)]
    before = {key: chosen(states, prefix_key=key) for key in keys}
    states[2].healthy = False
    for key, owner in before.items():
        if owner != "edge:2":
            assert chosen(states, prefix_key=key) == owner


def test_sessions_whose_names_begin_alike_spread() -> None:
    states = replicas(2)
    found = Counter(chosen(states, session="s" * 64 + str(number)) for number in range(60))
    assert min(found.values()) > 10


def eject(state: EndpointState, now: float = 0.0) -> None:
    for _ in range(3):
        state.health.fail(False, ejection_rule(), "engine_error", now, lambda: 1.0)
    assert state.health.ejected


def test_an_ejected_replica_gets_nothing_while_another_can_answer() -> None:
    states = replicas(2)
    eject(states[0])
    states[1].in_flight = 400
    assert chosen(states) == "edge:1"


def test_where_all_are_ejected_they_are_all_tried() -> None:
    states = replicas(3)
    for each in states:
        eject(each)
    assert {chosen(states, prefix_key=bytes([i]) * 16) for i in range(50)} == {
        "edge:0",
        "edge:1",
        "edge:2",
    }


def test_a_request_that_failed_elsewhere_may_try_an_ejected_replica_at_last() -> None:
    states = replicas(2)
    eject(states[0])
    choice = routing("edge").choose(
        request("rill-edge"), states, 0.0, lambda: 0.0, frozenset({"edge:1"})
    )
    assert choice.state.endpoint.id == "edge:0"


def test_a_replica_whose_pause_is_over_is_tried_by_the_next_request() -> None:
    states = replicas(2)
    owner = chosen(states, session="s")
    other = next(s for s in states if s.endpoint.id != owner)
    eject(other, -2.0)
    assert chosen(states, session="s") == other.endpoint.id
    other.health.begin()
    assert chosen(states, session="s") == owner


def test_a_tier_whose_replicas_are_all_ejected_is_left_for_another() -> None:
    states = [state("edge:1"), state("cloud:1", "cloud")]
    eject(states[0])
    choice = routing().choose(request("tierflow-edge"), states, 0.0, lambda: 0.0)
    assert (choice.state.endpoint.id, choice.reason) == ("cloud:1", "failover")


def test_a_replica_that_fails_fast_does_not_look_idle() -> None:
    states = replicas(2)
    states[1].in_flight = 3
    assert chosen(states) == "edge:0"
    for _ in range(2):
        states[0].health.doubt(0.0)
    assert chosen(states) == "edge:1"


def test_a_replica_that_has_returned_gets_its_share_step_by_step() -> None:
    states = replicas(2)
    eject(states[0])
    now = states[0].health.ejected_until
    states[0].health.succeed(states[0].health.begin(), ejection_rule(), now)
    random = Random(1)

    def share(at: float) -> float:
        found = Counter(
            routing("edge", profile="spread")
            .choose(request("rill-edge"), states, at, random.random)
            .state.endpoint.id
            for _ in range(400)
        )
        return found["edge:0"] / 400

    shares = [share(now + seconds) for seconds in (0.0, 5.0, 10.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.15 and shares[2] > 0.4


def test_a_context_that_seems_too_long_prefers_a_roomier_replica() -> None:
    states = [state("edge:0", max_model_len=100), state("edge:1", max_model_len=4000)]
    assert chosen(states, prompt_chars=4000) == "edge:1"


def test_when_nothing_seems_to_have_room_the_engine_decides() -> None:
    assert chosen([state("edge:0", max_model_len=100)], prompt_chars=4000) == "edge:0"


def test_a_full_replica_is_passed_over() -> None:
    states = [state("edge:0", limits={"max_in_flight": 1}, in_flight=1), state("edge:1")]
    states[1].kv_use = 1.0
    assert chosen(states) == "edge:1"


@pytest.mark.parametrize("name", sorted(SCORERS))
@given(
    loads=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 1.2)), min_size=1, max_size=8
    )
)
def test_scores_lie_between_zero_and_one(name: str, loads: list[tuple[int, int, float]]) -> None:
    states = [
        state(f"edge:{i}", waiting=waiting, in_flight=busy, kv_use=use)
        for i, (waiting, busy, use) in enumerate(loads)
    ]
    scores = SCORERS[name](request(prefix_key=b"k", session="s"), states, 0.0)
    assert len(scores) == len(states)
    assert all(0.0 <= score <= 1.0 for score in scores)


@pytest.mark.parametrize("name", sorted(PICKERS))
@given(
    scores=st.lists(st.floats(0, 10), min_size=1, max_size=8),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_picker_names_one_of_the_candidates(
    name: str, scores: list[float], chance: float
) -> None:
    assert 0 <= PICKERS[name](scores, lambda: chance) < len(scores)


def test_every_shipped_profile_builds() -> None:
    assert {build_profile(name, spec).name for name, spec in shipped_profiles().items()} == {
        "default",
        "least-loaded",
        "spread",
    }


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({"filters": ["fast"]}, "profiles.p.filters: unknown name 'fast'; known: healthy"),
        ({"scorers": [{"name": "luck"}]}, "profiles.p.scorers: unknown name 'luck'"),
        ({"picker": "coin"}, "profiles.p.picker: unknown name 'coin'; known: max_score"),
        ({"scorers": [{"name": "kv_use", "weight": -1}]}, "a number from 0 to 1,000,000"),
        ({"scorers": [{"name": "kv_use", "weight": float("inf")}]}, "a number from 0 to"),
        ({"scorers": ["kv_use", "kv_use"]}, "profiles.p.scorers: 'kv_use' stands there twice"),
        ({"filters": "healthy"}, "profiles.p.filters: expected a list of names"),
        ({"scorers": 3}, "profiles.p.scorers: expected a list of names"),
        ({"sorters": []}, "unknown key 'sorters'"),
    ],
)
def test_a_profile_with_an_unknown_name_fails_at_start(spec: dict[str, object], names: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_profile("p", spec)
    assert names in caught.value.message
