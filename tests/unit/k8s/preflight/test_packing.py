"""Whether all pods find room at the same time."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.preflight.facts import Node
from k8s.preflight.needs import PodNeed
from k8s.preflight.packing import Placement, Places, places
from tests.unit.k8s.preflight.build import GIB, container, deployment, needed, node


def pods(name: str, replicas: int, **resources: str) -> PodNeed:
    return needed(deployment(name, replicas, (container(**resources),))).pods[0]


def test_replicas_fill_node_after_node() -> None:
    nodes = [node("one", cpu="4"), node("two", cpu="4")]
    assert places([pods("edge", 4, cpu="2")], nodes, {}).placement is Placement.FITS
    short = places([pods("edge", 5, cpu="2")], nodes, {})
    assert short == Places(Placement.NONE, ("Deployment/edge",))


def test_what_runs_already_takes_its_room() -> None:
    busy = {"one": {"cpu": Decimal(3)}}
    one = [node("one", cpu="4")]
    assert places([pods("edge", 1, cpu="2")], one, busy).placement is Placement.NONE
    assert places([pods("edge", 1, cpu="1")], one, busy).placement is Placement.FITS


def test_two_pools_do_not_get_the_same_gpu() -> None:
    edge, cloud = pods("edge", 1, nvidia_com__gpu="1"), pods("cloud", 1, nvidia_com__gpu="1")
    one = [node("one", nvidia_com__gpu=1), node("plain")]
    found = places([edge, cloud], one, {})
    assert (found.placement, len(found.left_over)) == (Placement.NONE, 1)
    two = [node("one", nvidia_com__gpu=2), node("plain")]
    assert places([edge, cloud], two, {}).placement is Placement.FITS


def test_room_that_is_enough_in_all_and_on_no_node_is_not_enough() -> None:
    nodes = [node("one", cpu="3"), node("two", cpu="3"), node("three", cpu="3")]
    assert places([pods("edge", 4, cpu="2")], nodes, {}).placement is Placement.NONE


def test_places_that_only_another_order_leaves_are_tight_and_not_missing() -> None:
    # The scheduler puts the small pod on the node with the most room, which the large one needs.
    nodes = [node("small", cpu="2", gib=4), node("large", cpu="4", gib=16)]
    small, large = pods("small", 1, memory="4Gi"), pods("large", 1, memory="16Gi")
    assert places([small, large], nodes, {}).placement is Placement.TIGHT
    assert places([large, small], nodes, {}).placement is Placement.FITS


def test_a_way_is_found_where_the_greediest_first_leaves_none() -> None:
    # 4 + 2 + 2 and 3 + 3: the greediest first gives 4 + 3, and no place for the last one.
    nodes = [node("one", cpu="8", gib=8), node("two", cpu="8", gib=6)]
    sizes = ("4Gi", "3Gi", "3Gi", "2Gi", "2Gi")
    needs = [pods(f"p{number}", 1, memory=size) for number, size in enumerate(sizes)]
    assert places(needs, nodes, {}).placement is Placement.TIGHT


def test_a_node_takes_no_more_pods_than_it_says() -> None:
    full = {**node("one").allocatable, "pods": Decimal(2)}
    nodes = [replace(node("one"), allocatable=full)]
    assert places([pods("edge", 2, cpu="1")], nodes, {}).placement is Placement.FITS
    assert places([pods("edge", 3, cpu="1")], nodes, {}).placement is Placement.NONE
    busy = {"one": {"pods": Decimal(1)}}
    assert places([pods("edge", 2, cpu="1")], nodes, busy).placement is Placement.NONE


def test_ephemeral_storage_is_a_resource_like_the_others() -> None:
    disk = {**node("one").allocatable, "ephemeral-storage": 20 * GIB}
    nodes = [replace(node("one"), allocatable=disk)]
    need = container(**{"ephemeral-storage": "15Gi"})
    one, two = (needed(deployment(name, 1, (need,))).pods[0] for name in ("edge", "cloud"))
    assert places([one], nodes, {}).placement is Placement.FITS
    assert places([one, two], nodes, {}).placement is Placement.NONE


def test_pods_that_must_stand_apart_need_a_node_each() -> None:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "edge"}},
    }
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    item = deployment("edge", 2, affinity=apart)
    item["spec"]["template"]["metadata"] = {"labels": {"app": "edge"}}
    (pod,) = needed(item).pods
    assert places([pod], [node("one")], {}).placement is Placement.NONE
    assert places([pod], [node("one"), node("two")], {}).placement is Placement.FITS


@pytest.mark.parametrize(("hard", "found"), [(True, Placement.NONE), (False, Placement.FITS)])
def test_pods_that_must_be_spread_do_not_all_go_where_the_room_is(
    hard: bool, found: Placement
) -> None:
    rule = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "edge"}},
    }
    item = deployment("edge", 4, (container(cpu="1"),), topologySpreadConstraints=[rule])
    item["spec"]["template"]["metadata"] = {"labels": {"app": "edge"}}
    nodes = [node("large", cpu="8"), node("small", cpu="1")]
    assert places(needed(item).pods, nodes, {}).placement is found


def test_what_fits_nowhere_is_seen_before_all_ways_are_tried() -> None:
    nodes = [
        node(f"n{number}", gib=64 + number, labels={"kubernetes.io/hostname": f"n{number}"})
        for number in range(40)
    ]
    busy = {each.name: {"cpu": Decimal("2.5")} for each in nodes}
    others = [pods(f"p{number}", 3, memory="9Gi") for number in range(20)]
    found = places([*others, pods("edge", 1, cpu="2")], nodes, busy)
    assert found == Places(Placement.NONE, ("Deployment/edge",))


def test_nodes_that_are_alike_are_tried_once() -> None:
    # 3 + 3 + 3 of 8 leave two of every node unused, and there are as many ways as nodes and pods.
    nodes = [
        node(f"n{number}", cpu="8", labels={"kubernetes.io/hostname": f"n{number}"})
        for number in range(6)
    ]
    needs = [pods("large", 12, cpu="3"), pods("small", 3, cpu="3")]
    assert places(needs, nodes, {}).placement is Placement.NONE


def test_a_search_that_would_take_too_long_says_that_it_does_not_know() -> None:
    nodes = [node(f"n{number}", cpu=f"10.{number:02}") for number in range(12)]
    needs = [pods(f"p{number}", 1, cpu=f"4.0{number:02}") for number in range(25)]
    assert places(needs, nodes, {}).placement is Placement.UNKNOWN


def test_nothing_is_placed_on_a_node_that_is_not_ready_or_cordoned() -> None:
    idle: list[Node] = [node("one", ready=False), node("two", schedulable=False)]
    found = places([pods("edge", 1, cpu="1")], idle, {})
    assert found == Places(Placement.NONE, ("Deployment/edge",))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
)
def test_what_is_said_of_a_few_pods_is_what_trying_every_way_shows(
    sizes: list[int], rooms: list[int]
) -> None:
    nodes = [node(f"n{number}", cpu=str(room)) for number, room in enumerate(rooms)]
    needs = [pods(f"p{number}", 1, cpu=str(size)) for number, size in enumerate(sizes)]

    def possible(chosen: tuple[int, ...]) -> bool:
        taken = [0] * len(rooms)
        for size, place in zip(sizes, chosen, strict=True):
            taken[place] += size
        return all(amount <= room for amount, room in zip(taken, rooms, strict=True))

    exists = any(map(possible, product(range(len(rooms)), repeat=len(sizes))))
    assert (places(needs, nodes, {}).placement is not Placement.NONE) is exists
