"""On which nodes a pod may run, and whether all pods find room."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.preflight.facts import Node, Taint
from k8s.preflight.needs import PodNeed
from k8s.preflight.placement import Placement, Places, admits, fits, places
from tests.unit.k8s.preflight.build import GIB, container, deployment, needed, node

GPU_TAINT = Taint("nvidia.com/gpu", "present", "NoSchedule")


def pods(name: str, replicas: int, **resources: str) -> PodNeed:
    return needed(deployment(name, replicas, (container(**resources),))).pods[0]


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, True),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "nvidia.com/gpu", "value": "present"}, True),
        ({"key": "nvidia.com/gpu", "value": "other"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "amd.com/gpu", "operator": "Exists"}, False),
    ],
)
def test_a_tainted_node_takes_only_pods_that_tolerate_it(
    toleration: dict[str, str], tolerated: bool
) -> None:
    assert admits(node(taints=(GPU_TAINT,)), {"tolerations": [toleration]}) is tolerated
    assert not admits(node(taints=(GPU_TAINT,)), {})


def test_a_taint_that_only_prefers_other_pods_keeps_none_away() -> None:
    assert admits(node(taints=(Taint("any", "", "PreferNoSchedule"),)), {})


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        ({"key": "gpu", "operator": "In", "values": ["L4", "H100"]}, True),
        ({"key": "gpu", "operator": "In", "values": ["H100"]}, False),
        ({"key": "gpu", "operator": "NotIn", "values": ["H100"]}, True),
        ({"key": "zone", "operator": "NotIn", "values": ["a"]}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "zone", "operator": "Exists"}, False),
        ({"key": "zone", "operator": "DoesNotExist"}, True),
        ({"key": "memory", "operator": "Gt", "values": ["16"]}, True),
        ({"key": "memory", "operator": "Lt", "values": ["16"]}, False),
        ({"key": "gpu", "operator": "Gt", "values": ["16"]}, False),
        ({"key": "gpu", "operator": "Lt", "values": ["16"]}, False),
        ({"key": "zone", "operator": "Lt", "values": ["16"]}, False),
        ({"key": "memory", "operator": "Unheard", "values": ["16"]}, False),
    ],
)
def test_required_affinity_is_judged_by_the_nodes_labels(
    rule: dict[str, object], matched: bool
) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    labelled = node(labels={"gpu": "L4", "memory": "24"})
    assert admits(labelled, {"affinity": {"nodeAffinity": required}}) is matched


def test_a_selector_needs_each_of_its_labels() -> None:
    labelled = node(labels={"a": "1", "b": "2"})
    assert admits(labelled, {"nodeSelector": {"a": "1", "b": "2"}})
    assert not admits(labelled, {"nodeSelector": {"a": "1", "b": "3"}})


def test_a_pod_fits_where_every_resource_suffices() -> None:
    pod = pods("edge", 1, cpu="4", memory="8Gi", nvidia_com__gpu="1")
    assert fits(pod, node(cpu="4", gib=8, nvidia_com__gpu=1).allocatable)
    assert not fits(pod, node(cpu="4", gib=8).allocatable)
    assert not fits(pod, node(cpu="3", gib=8, nvidia_com__gpu=1).allocatable)


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


def test_a_search_that_would_take_too_long_says_that_it_does_not_know() -> None:
    nodes = [node(f"n{number}", cpu="10", gib=100 + number) for number in range(12)]
    needs = [pods(f"p{number}", 1, cpu=f"{3 + number % 3}.{number:02}") for number in range(27)]
    assert places(needs, nodes, {}).placement is not Placement.FITS


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
