from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.discovery.endpoints import FoundEndpoint, FoundPool, PortNames, Snapshot, snapshot
from k8s.discovery.slices import Slice, decode
from loadtest.kubernetes_api import Object, endpoint_slice, pod

NULL_CONDITIONS: Object = {"addresses": ["10.0.0.9"], "conditions": None}


def read(*items: Object) -> Snapshot:
    return snapshot(decoded(items), PortNames())


def decoded(items: Iterable[Object]) -> list[Slice]:
    return [decode(json.dumps(item).encode(), Slice) for item in items]


def ids(found: Snapshot) -> list[str]:
    return [endpoint.id for endpoint in found.endpoints]


def test_ready_pods_of_all_slices_are_one_pool() -> None:
    found = read(
        endpoint_slice("a", pod("10.0.0.2"), pod("10.0.0.1"), model="rill-edge", drafts=8001),
        endpoint_slice("b", pod("10.0.0.3"), model="rill-edge", drafts=8001),
    )
    assert ids(found) == ["10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"]
    assert found.pools == (FoundPool("edge", "edge", ("rill-edge",)),)
    assert {endpoint.drafts_port for endpoint in found.endpoints} == {8001}
    assert found.problems == ()


@pytest.mark.parametrize(
    ("member", "used"),
    [
        (pod("10.0.0.9", True), True),
        (pod("10.0.0.9", None), True),
        (NULL_CONDITIONS, True),
        ({"addresses": ["10.0.0.9"]}, True),
        (pod("10.0.0.9", False), False),
        (pod("10.0.0.9", False, serving=True, terminating=True), False),
        # What a Service that publishes unready addresses makes of pods.
        (pod("10.0.0.9", True, serving=False), False),
        (pod("10.0.0.9", True, serving=True, terminating=True), False),
        ({"addresses": []}, False),
        ({"addresses": None}, False),
    ],
)
def test_conditions_decide_and_a_null_one_counts_as_good(member: Object, used: bool) -> None:
    assert ids(read(endpoint_slice("a", member))) == (["10.0.0.9:8000"] if used else [])


def test_a_slice_that_still_calls_a_pod_ready_does_not_keep_it() -> None:
    old, new = (
        endpoint_slice("a", pod("10.0.0.1", True)),
        endpoint_slice("b", pod("10.0.0.1", False)),
    )
    assert ids(read(old, new)) == ids(read(new, old)) == []


def test_a_pod_with_two_addresses_is_one_endpoint() -> None:
    found = read(
        endpoint_slice("six", pod("fd00::1", uid="p"), address_type="IPv6"),
        endpoint_slice("four", pod("10.0.0.1", uid="p")),
    )
    assert ids(found) == ["10.0.0.1:8000"]


def test_a_pod_with_only_an_ipv6_address_is_reached_in_brackets() -> None:
    found = read(endpoint_slice("six", pod("fd00::1", uid="p"), address_type="IPv6"))
    assert found.endpoints == (FoundEndpoint(pool="edge", host="[fd00::1]", port=8000),)


def test_a_name_is_an_address_as_well() -> None:
    item = endpoint_slice("names", pod("engine.example"), address_type="FQDN")
    assert ids(read(item)) == ["engine.example:8000"]


def test_a_pool_without_pods_is_known_all_the_same() -> None:
    # What the cluster keeps for a Service whose pods are scaled to zero.
    item = endpoint_slice("a", model="rill-edge") | {"endpoints": None, "ports": None}
    assert read(item) == Snapshot(pools=(FoundPool("edge", "edge", ("rill-edge",)),))


def test_the_port_is_found_by_its_name() -> None:
    item = endpoint_slice("a", pod("10.0.0.1"))
    item["ports"] = [{"name": "metrics", "port": 1}, {"name": "http", "port": 2}]
    assert ids(read(item)) == ["10.0.0.1:2"]
    item["ports"] = [{"name": "http", "port": 2, "protocol": "UDP"}, {"name": "x", "port": 3}]
    assert read(item).problems == ("EndpointSlice tierflow/a: has no TCP port named 'http'",)


def test_what_contradicts_itself_is_passed_over_and_told() -> None:
    found = read(
        endpoint_slice("a", pod("10.0.0.1")),
        endpoint_slice("b", pod("10.0.0.2"), tier="cloud"),
        endpoint_slice("c", pod("10.0.0.1"), pool="other"),
        endpoint_slice("d", pod("10.0.0.4"), pool=""),
    )
    assert ids(found) == ["10.0.0.1:8000"]
    assert found.problems == (
        "EndpointSlice tierflow/b: pool edge is at tier edge elsewhere, and cloud here",
        "EndpointSlice tierflow/c: 10.0.0.1:8000 is in pool edge already",
        "EndpointSlice tierflow/d: needs the labels tierflow.dev/pool and tierflow.dev/tier",
    )


ready = st.sampled_from([True, False, None])
members = st.builds(
    pod,
    st.sampled_from([f"10.0.0.{n}" for n in range(6)]),
    ready,
    uid=st.sampled_from(["", "p", "q"]),
    serving=ready,
    terminating=ready,
)
some_slices = st.lists(
    st.tuples(st.lists(members, max_size=4), st.sampled_from(["edge", "other"])), max_size=4
)


def built(drawn: list[tuple[list[Object], str]]) -> list[Object]:
    # Names sort like numbers: of two pools that claim one address, the first slice's has it.
    return [
        endpoint_slice(f"s{number:02}", *pods, pool=pool)
        for number, (pods, pool) in enumerate(drawn)
    ]


@given(some_slices, st.integers())
def test_the_order_of_the_slices_changes_nothing(drawn: Any, seed: int) -> None:
    items = built(drawn)
    shuffled = random.Random(seed).sample(items, len(items))
    assert read(*items) == read(*shuffled)


@given(some_slices)
def test_whatever_any_slice_calls_unready_is_not_used_and_nothing_is_used_twice(
    drawn: Any,
) -> None:
    found = ids(read(*built(drawn)))
    pods = [member for pods, _ in drawn for member in pods]
    out = {p["addresses"][0] for p in pods if p["conditions"]["ready"] is False}
    out |= {p["addresses"][0] for p in pods if p["conditions"]["terminating"] is True}
    assert len(set(found)) == len(found)
    assert not {id.partition(":")[0] for id in found} & out


@given(some_slices)
def test_how_pods_are_spread_over_slices_changes_nothing(drawn: Any) -> None:
    apart = [([member], pool) for pods, pool in drawn for member in pods]
    assert read(*built(drawn)).endpoints == read(*built(apart)).endpoints
