"""GPUs, room and images against the nodes that may run the pods."""

from dataclasses import replace
from decimal import Decimal

from k8s.preflight.facts import Manifest, Node, RunningPod, Taint, Unread
from k8s.preflight.judgements.accelerators import accelerators, runtime_classes
from k8s.preflight.judgements.pulls import pulls
from k8s.preflight.judgements.room import as_running, room, runs_already, taken
from k8s.preflight.needs import Needs
from k8s.preflight.report import Finding, Result
from tests.unit.k8s.preflight.build import container, deployment, needed, node

ENGINE = "tierflow/vllm:0.1.0"
HELD = "docker.io/tierflow/vllm:0.1.0"
BOTH = Manifest(frozenset({"amd64", "arm64"}))
AMD_ONLY = Manifest(frozenset({"amd64"}))
ABSENT = Manifest(frozenset())


def on_gpus(count: int = 1, replicas: int = 1, **spec: object) -> Needs:
    return needed(
        deployment("cloud", replicas, (container(ENGINE, nvidia_com__gpu=str(count)),), **spec)
    )


def gpu_node(name: str = "gpu", count: int = 4, taints: tuple[Taint, ...] = ()) -> Node:
    labels = {"nvidia.com/gpu.product": "NVIDIA-L4"}
    return node(name, labels=labels, taints=taints, nvidia_com__gpu=count)


def gpus(needs: Needs, *nodes: Node) -> Finding:
    (found,) = accelerators(needs, nodes, {})
    return found


def test_gpus_are_counted_with_their_product() -> None:
    found = gpus(on_gpus(), gpu_node("a"), gpu_node("b"))
    assert (found.result, found.found) == (Result.OK, "8 on 2 nodes (NVIDIA-L4)")


def test_values_for_cpus_need_no_gpu() -> None:
    assert gpus(needed(deployment()), node()).result is Result.OK
    unused = gpus(needed(deployment()), gpu_node())
    assert unused.result is Result.OK
    assert "not used" in unused.found


def test_a_cluster_without_gpus_lacks_what_gpu_values_ask_for() -> None:
    found = gpus(on_gpus(), node())
    assert (found.check, found.result) == ("nvidia.com/gpu", Result.MISSING)
    assert "device plugin" in found.todo


def test_a_gpu_without_its_device_plugin_is_told_from_none_at_all() -> None:
    present = {"feature.node.kubernetes.io/pci-10de.present": "true"}
    found = gpus(on_gpus(), node("bare", labels=present))
    assert found.result is Result.MISSING
    assert "hardware is in bare" in found.found


def test_one_pod_needs_all_its_gpus_on_one_node() -> None:
    found = gpus(on_gpus(8), gpu_node("a", 4), gpu_node("b", 4))
    assert found.result is Result.MISSING
    assert "Deployment/cloud asks for 8" in found.found


def test_tainted_gpu_nodes_need_a_toleration() -> None:
    tainted = gpu_node(taints=(Taint("nvidia.com/gpu", "", "NoSchedule"),))
    assert gpus(on_gpus(), tainted).result is Result.MISSING
    tolerant = on_gpus(tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}])
    assert gpus(tolerant, tainted).result is Result.OK


def test_nodes_that_could_not_be_read_leave_gpus_unchecked() -> None:
    (found,) = accelerators(on_gpus(), Unread("forbidden"), {})
    assert (found.check, found.result) == ("nvidia.com/gpu", Result.NOT_CHECKED)


def test_a_runtime_class_must_exist_where_it_is_named() -> None:
    named = on_gpus(runtimeClassName="nvidia")
    assert runtime_classes(named, frozenset()).result is Result.MISSING
    assert runtime_classes(named, frozenset({"nvidia"})).result is Result.OK
    assert runtime_classes(named, Unread("no")).result is Result.NOT_CHECKED
    assert runtime_classes(on_gpus(), Unread("no")).result is Result.OK


def test_gpu_pods_without_a_runtime_class_get_a_hint_where_nvidias_is_there() -> None:
    assert "runtimeClassName" in runtime_classes(on_gpus(), frozenset({"nvidia"})).todo
    assert runtime_classes(on_gpus(), frozenset({"gvisor"})).todo == ""


def big(replicas: int = 1, **spec: object) -> Needs:
    one = container(cpu="2", memory="8Gi")
    return needed(deployment("edge", replicas, (one,), **spec))


def test_pods_that_fit_together_are_fine() -> None:
    (found,) = room(big(2), (node(cpu="4", gib=16),), {})
    assert found.result is Result.OK
    assert found.found == "asked for 4 CPU, 16.0 GiB, the nodes have 4 CPU, 16.0 GiB left"


def test_pods_that_fit_alone_and_not_together_do_not_come_up() -> None:
    (found,) = room(big(3), (node(cpu="4", gib=16),), {})
    assert found.result is Result.MISSING
    assert "Deployment/edge" in found.todo


def test_two_pools_that_ask_for_the_one_gpu_do_not_come_up() -> None:
    one = container(ENGINE, nvidia_com__gpu="1")
    both = needed(deployment("edge", 1, (one,)), deployment("cloud", 1, (one,)))
    single = gpus(both, gpu_node(count=1))
    assert (single.result, single.found) == (Result.MISSING, "1 on 1 node (NVIDIA-L4); 1 free")
    assert "2 are asked for together" in single.todo
    (found,) = room(both, (gpu_node(count=1),), {})
    assert found.result is Result.MISSING
    assert "2 nvidia.com/gpu, the nodes have" in found.found
    assert "1 nvidia.com/gpu left" in found.found
    assert gpus(both, gpu_node(count=2)).result is Result.OK


def test_a_gpu_that_another_pod_has_is_not_free() -> None:
    busy = {"gpu": {"nvidia.com/gpu": Decimal(1)}}
    (found,) = accelerators(on_gpus(), (gpu_node(count=1),), busy)
    assert (found.result, found.found) == (Result.MISSING, "1 on 1 node (NVIDIA-L4); 0 free")


def test_less_cpu_left_than_is_asked_for_is_missing_and_not_a_warning() -> None:
    need = needed(deployment("edge", 1, (container(cpu="2550m"),)))
    (found,) = room(need, (node(cpu="4"),), {"one": {"cpu": Decimal("3.67")}})
    assert (found.result, found.found[:46]) == (
        Result.MISSING,
        "asked for 2.55 CPU, 0.0 GiB, the nodes have 0.",
    )


def test_pools_that_are_scaled_to_zero_may_share_what_one_of_them_needs() -> None:
    one = container(ENGINE, nvidia_com__gpu="1")
    asleep = needed(deployment("edge", 0, (one,)), deployment("cloud", 0, (one,)))
    assert gpus(asleep, gpu_node(count=1)).result is Result.OK
    (found,) = room(asleep, (gpu_node(count=1),), {})
    assert found.result is Result.WARNING
    assert "when it wakes" in found.todo


def test_an_upgrade_gets_the_room_of_what_it_replaces() -> None:
    item = deployment("edge", 1, (container(cpu="3"),))
    item["spec"]["selector"] = {"matchLabels": {"app": "edge"}}
    need = needed(item)
    own = RunningPod(
        namespace="there",
        node="one",
        labels={"app": "edge", "hash": "1"},
        requests={"cpu": Decimal(3)},
    )
    foreign = replace(own, namespace="elsewhere")
    assert taken((own,), need, "there") == {}
    assert runs_already((own,), need, "there")
    assert taken((foreign,), need, "there") == {"one": {"cpu": Decimal(3), "pods": Decimal(1)}}
    assert not runs_already((foreign,), need, "there")


def test_an_upgrade_keeps_as_many_replicas_as_a_scaler_has_made() -> None:
    item = deployment("edge", None, (container(cpu="1"),))
    item["spec"]["selector"] = {"matchLabels": {"app": "edge"}}
    own = RunningPod(namespace="there", node="one", labels={"app": "edge"})
    (pod,) = as_running(needed(item), (own,) * 5, "there").pods
    assert pod.replicas == 5
    item["spec"]["replicas"] = 2
    (pod,) = as_running(needed(item), (own,) * 5, "there").pods
    assert pod.replicas == 2, "the values say how many"


def test_an_update_that_starts_one_more_first_is_warned_of_where_there_is_no_room_for_it() -> None:
    need = needed(deployment("edge", 1, (container(cpu="3"),)))
    (first,) = room(need, (node(cpu="4"),), {})
    (again,) = room(need, (node(cpu="4"),), {}, upgrade=True)
    assert (first.result, again.result) == (Result.OK, Result.WARNING)
    assert "one more of Deployment/edge" in again.todo


def test_a_pod_that_fits_no_node_is_named_with_what_is_short() -> None:
    (found,) = room(big(), (node(cpu="4", gib=4),), {})
    assert (found.check, found.result) == ("a node for Deployment/edge", Result.MISSING)
    assert "too little: memory" in found.todo


def test_a_selector_that_matches_no_node_is_named() -> None:
    (found,) = room(big(nodeSelector={"pool": "edge"}), (node(),), {})
    assert found.result is Result.MISSING
    assert "labels" in found.found


def test_without_the_right_to_list_pods_room_is_judged_as_if_nothing_ran() -> None:
    (found,) = room(big(), (node(),), Unread("pods is forbidden"))
    assert found.result is Result.NOT_CHECKED
    assert "pods is forbidden" in found.found
    (found,) = room(big(3), (node(),), Unread("pods is forbidden"))
    assert found.result is Result.MISSING, "that is not enough even then"


def pull(manifest: Manifest | Unread, *nodes: Node, **spec: object) -> Finding:
    needs = needed(deployment(containers=(container(ENGINE),), **spec))  # type: ignore[arg-type]
    (found,) = pulls(needs, nodes, {ENGINE: manifest})
    return found


def test_an_image_must_exist_for_every_architecture_that_may_run_it() -> None:
    arm = node("arm", architecture="arm64")
    assert pull(BOTH, node(), arm).result is Result.OK
    some = pull(AMD_ONLY, node(), arm)
    assert some.result is Result.WARNING
    assert "kubernetes.io/arch: amd64" in some.todo
    assert pull(AMD_ONLY, arm).result is Result.MISSING


def test_nodes_that_a_selector_rules_out_need_no_image() -> None:
    amd = node("amd", labels={"kubernetes.io/arch": "amd64"})
    arm = node("arm", architecture="arm64", labels={"kubernetes.io/arch": "arm64"})
    chosen = {"kubernetes.io/arch": "amd64"}
    assert pull(AMD_ONLY, amd, arm, nodeSelector=chosen).result is Result.OK


def test_an_image_that_the_registry_has_not_is_missing_unless_the_nodes_hold_it() -> None:
    holding = node("one", images=frozenset({HELD}))
    assert pull(ABSENT, node()).result is Result.MISSING
    assert pull(ABSENT, holding).result is Result.OK
    partly = pull(ABSENT, holding, node("two"))
    assert partly.result is Result.WARNING
    assert "1 of 2 nodes" in partly.found


def test_a_registry_that_gives_no_answer_leaves_the_image_unchecked_with_the_reason() -> None:
    found = pull(Unread("docker.io can't be reached from here"), node())
    assert (found.result, found.found) == (
        Result.NOT_CHECKED,
        "docker.io can't be reached from here",
    )
