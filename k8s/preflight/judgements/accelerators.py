"""GPUs and other devices that the pods request, and the runtime classes that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from k8s.preflight.facts import Amounts, Node, Reading, Unread
from k8s.preflight.needs import Needs, PodNeed
from k8s.preflight.placement import admitted, left
from k8s.preflight.report import Finding, Result

KNOWN = ("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe")
PRODUCT_LABELS = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "gpu.intel.com/product",
    "node.kubernetes.io/instance-type",
)
VENDOR_PRESENT = {
    "feature.node.kubernetes.io/pci-10de.present": "nvidia.com/gpu",
    "feature.node.kubernetes.io/pci-1002.present": "amd.com/gpu",
    "nvidia.com/gpu.present": "nvidia.com/gpu",
}
PLUGIN = "install the vendor's device plugin or GPU operator, so that nodes offer {resource}"


def accelerators(
    needs: Needs,
    reading: Reading[tuple[Node, ...]],
    used: Reading[Mapping[str, Amounts]],
) -> list[Finding]:
    """A row for each resource that is asked for, and for each that the nodes only have. Whether
    each pod gets its own, all together, is the question of `room`."""
    asked = sorted({name for pod in needs.pods for name in pod.devices})
    if isinstance(reading, Unread):
        return [
            Finding(check=name, result=Result.NOT_CHECKED, found=reading.reason)
            for name in asked or ["GPUs"]
        ]
    offered = [name for name in KNOWN if name not in asked and _having(name, reading)]
    taken = {} if isinstance(used, Unread) else used
    found = [_asked(name, needs.pods, reading, taken) for name in asked]
    found += [
        Finding(check=name, result=Result.OK, found=f"{_offer(name, reading)}; not used")
        for name in offered
    ]
    return found or [
        Finding(
            check="GPUs", result=Result.OK, found="no node has one, and the values ask for none"
        )
    ]


def _asked(
    name: str, pods: Iterable[PodNeed], nodes: tuple[Node, ...], used: Mapping[str, Amounts]
) -> Finding:
    having = _having(name, nodes)
    if not having:
        return _nowhere(name, nodes)
    found = _offer(name, nodes)
    for pod in pods:
        amount = pod.devices.get(name)
        if amount is None:
            continue
        most = max(node.allocatable[name] for node in having)
        if amount > most:
            todo = f"a node with {amount} of them, or a smaller tensor parallel size"
            return Finding(
                check=name,
                result=Result.MISSING,
                found=f"{pod.owner} asks for {amount}; {found}",
                todo=todo,
            )
        if not any(node.allocatable.get(name, 0) >= amount for node in admitted(pod, nodes)):
            todo = "its nodeSelector, affinity and tolerations leave none of these nodes"
            return Finding(
                check=name,
                result=Result.MISSING,
                found=f"{pod.owner} asks for {amount}; {found}",
                todo=todo,
            )
    free = sum((left(node, used).get(name, Decimal(0)) for node in having), Decimal(0))
    awake = [pod for pod in pods if not pod.asleep and not pod.short_lived]
    total = sum((pod.devices.get(name, Decimal(0)) * pod.replicas for pod in awake), Decimal(0))
    if total > free:
        todo = f"{total} are asked for together: add nodes, or lower replicas, or pools"
        return Finding(check=name, result=Result.MISSING, found=f"{found}; {free} free", todo=todo)
    return Finding(check=name, result=Result.OK, found=found)


def _nowhere(name: str, nodes: tuple[Node, ...]) -> Finding:
    present = sorted(
        node.name
        for node in nodes
        for label, resource in VENDOR_PRESENT.items()
        if resource == name and node.labels.get(label) == "true"
    )
    if present:
        found = f"no node offers it; the hardware is in {', '.join(dict.fromkeys(present))}"
        return Finding(
            check=name, result=Result.MISSING, found=found, todo=PLUGIN.format(resource=name)
        )
    todo = f"add a node with it, {PLUGIN.format(resource=name)}, or choose values for CPUs"
    return Finding(check=name, result=Result.MISSING, found="no node offers it", todo=todo)


def _having(name: str, nodes: tuple[Node, ...]) -> list[Node]:
    return [node for node in nodes if node.usable and node.allocatable.get(name, Decimal(0)) > 0]


def _offer(name: str, nodes: tuple[Node, ...]) -> str:
    """As in `8 on 2 nodes (NVIDIA-L4)`."""
    having = _having(name, nodes)
    total = sum((node.allocatable[name] for node in having), Decimal(0))
    products = {product for node in having if (product := _product(node))}
    listed = f" ({', '.join(sorted(products))})" if products else ""
    return f"{total} on {len(having)} node{'s' if len(having) != 1 else ''}{listed}"


def _product(node: Node) -> str:
    return next((node.labels[label] for label in PRODUCT_LABELS if label in node.labels), "")


def runtime_classes(needs: Needs, reading: Reading[frozenset[str]]) -> Finding:
    check = "runtime classes"
    named = {name for pod in needs.pods if (name := pod.spec.get("runtimeClassName"))}
    if isinstance(reading, Unread):
        result = Result.NOT_CHECKED if named else Result.OK
        return Finding(
            check=check, result=result, found=reading.reason if named else "none asked for"
        )
    listed = ", ".join(sorted(reading)) or "none"
    absent = sorted(named - reading)
    if absent:
        todo = f"install what brings {', '.join(absent)}, or leave runtimeClassName empty"
        return Finding(check=check, result=Result.MISSING, found=listed, todo=todo)
    plain_gpu = any(
        "nvidia.com/gpu" in pod.devices and not pod.spec.get("runtimeClassName")
        for pod in needs.pods
    )
    if plain_gpu and "nvidia" in reading:
        todo = "if pods see no GPU (as on k3s), set the pool's runtimeClassName to nvidia"
        return Finding(check=check, result=Result.OK, found=listed, todo=todo)
    return Finding(check=check, result=Result.OK, found=listed)
