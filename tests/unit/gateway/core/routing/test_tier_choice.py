from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.core.routing.routing import Choice
from gateway.core.tier import Tier
from gateway.core.types import EndpointState, InferenceRequest
from gateway.errors import InvalidRequest, NoEndpoint, Overloaded, UnknownModel
from tests.unit.gateway.build import measured, request, routing, state


def choose(
    asked: InferenceRequest,
    states: Sequence[EndpointState],
    now: float = 0.0,
    tried: frozenset[str] = frozenset(),
) -> Choice:
    return routing().choose(asked, states, now, lambda: 0.0, tried)


def both(edge_s: float = 0.01, cloud_s: float = 0.03) -> list[EndpointState]:
    return [
        measured(state("edge:1", "edge"), decode_s=edge_s),
        measured(state("cloud:1", "cloud"), decode_s=cloud_s),
    ]


def place(choice: Choice) -> tuple[str, str]:
    return choice.model, choice.reason


def test_a_real_model_goes_to_the_pool_that_has_it() -> None:
    assert place(choose(request("rill-cloud"), both())) == ("rill-cloud", "model")


def test_a_real_model_never_moves_to_another_model() -> None:
    states = both()
    states[0].healthy = False
    with pytest.raises(NoEndpoint):
        choose(request("rill-edge"), states)


def test_an_unknown_model_is_refused_with_the_list_of_those_there_are() -> None:
    with pytest.raises(UnknownModel, match=r"rill-cloud, rill-edge, tierflow-edge") as caught:
        choose(request("gpt-5"), both())
    assert caught.value.param == "model"


@pytest.mark.parametrize("name", ["rill-egde", "Rill-Edge"])
def test_a_misspelt_model_is_told_the_nearest(name: str) -> None:
    with pytest.raises(UnknownModel, match=r"does not exist; did you mean rill-edge\? Available: "):
        choose(request(name), both())


def test_a_name_that_is_none_is_compared_with_nothing() -> None:
    with pytest.raises(UnknownModel, match="does not exist; available: "):
        choose(request("rill-edge" * 100), both())


def test_a_model_of_a_pool_not_seen_yet_may_come_later() -> None:
    states = both()
    states[1].models = {}
    with pytest.raises(NoEndpoint, match="pools cloud"):
        choose(request("rill-cloud"), states)


def test_a_tier_that_has_never_been_up_is_a_failover() -> None:
    states = both()
    states[0].healthy, states[0].models = False, {}
    assert place(choose(request("tierflow-edge"), states)) == ("rill-cloud", "failover")


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_a_virtual_tier_model_goes_to_its_tier(tier: str) -> None:
    assert place(choose(request(f"tierflow-{tier}"), both())) == (f"rill-{tier}", "tier")


def test_auto_takes_the_least_expected_time() -> None:
    assert place(choose(request(), both(0.01, 0.03))) == ("rill-edge", "least-time")
    assert place(choose(request(), both(0.03, 0.01))) == ("rill-cloud", "least-time")


def test_auto_counts_the_queue_in() -> None:
    states = both(0.01, 0.012)
    states[0].waiting, states[0].running = 6, 2
    assert choose(request(), states).model == "rill-cloud"


def test_auto_prefers_the_lower_tier_among_equals() -> None:
    assert choose(request(), [state("cloud:1", "cloud"), state("edge:1", "edge")]).model == (
        "rill-edge"
    )


def test_a_slow_endpoint_gets_a_second_chance_after_a_while() -> None:
    states = both(edge_s=0.5, cloud_s=0.01)
    assert choose(request(), states, now=0.0).model == "rill-cloud"
    assert choose(request(), states, now=3600.0).model == "rill-edge"


def test_a_saturated_tier_overflows_to_the_next() -> None:
    states = both()
    states[0].waiting = 8
    assert place(choose(request("tierflow-edge"), states)) == ("rill-cloud", "overflow")


def test_a_full_tier_overflows_to_the_next_before_anybody_is_refused() -> None:
    edge = state("edge:1", limits={"max_in_flight": 2}, in_flight=2)
    states = [edge, state("cloud:1", "cloud")]
    assert place(choose(request("tierflow-edge"), states)) == ("rill-cloud", "overflow")


def test_when_every_tier_is_saturated_the_preferred_one_takes_it() -> None:
    states = both()
    states[0].waiting = states[1].waiting = 8
    assert choose(request("tierflow-edge"), states).model == "rill-edge"


def test_a_pool_without_a_healthy_endpoint_fails_over() -> None:
    states = both()
    states[0].healthy = False
    assert place(choose(request("tierflow-edge"), states)) == ("rill-cloud", "failover")


def test_only_when_every_place_is_taken_is_a_request_refused() -> None:
    states = [state("edge:1", limits={"max_in_flight": 2}, in_flight=2)]
    with pytest.raises(Overloaded) as caught:
        choose(request(), states)
    assert caught.value.retry_after > 0


def test_max_tier_is_a_hard_limit() -> None:
    slow_edge = both(edge_s=1.0, cloud_s=0.001)
    assert choose(request(max_tier=Tier.EDGE), slow_edge).model == "rill-edge"
    slow_edge[0].healthy = False
    with pytest.raises(NoEndpoint):
        choose(request(max_tier=Tier.EDGE), slow_edge)


def test_a_max_tier_below_every_pool_is_the_callers_error() -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose(request(max_tier=Tier.DEVICE), both())
    assert caught.value.param == "x-tierflow-max-tier"


def test_min_quality_leaves_out_the_smaller_members() -> None:
    assert choose(request(min_quality="rill-cloud"), both()).model == "rill-cloud"


def test_min_quality_of_a_stranger_names_the_members() -> None:
    with pytest.raises(InvalidRequest, match="rill-device, rill-edge, rill-cloud"):
        choose(request(min_quality="llama"), both())


def test_a_deadline_that_no_tier_should_meet_still_gets_the_fastest() -> None:
    assert place(choose(request(deadline_s=0.001), both())) == ("rill-edge", "deadline-unlikely")
    assert place(choose(request(deadline_s=60.0), both())) == ("rill-edge", "least-time")


def test_a_retry_leaves_out_what_failed() -> None:
    choice = choose(request("tierflow-edge"), both(), tried=frozenset({"edge:1"}))
    assert (choice.state.endpoint.id, choice.reason) == ("cloud:1", "retry")


def test_an_adapter_on_top_of_the_base_model_is_not_what_a_virtual_model_means() -> None:
    states = both()
    states[0].models = {**states[0].models, "my-lora": next(iter(states[0].models.values()))}
    assert choose(request("tierflow-edge"), states).model == "rill-edge"
    assert choose(request("my-lora"), states).model == "my-lora"
