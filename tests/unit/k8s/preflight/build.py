"""Objects and facts for the preflight's tests, with everything that a test does not care about."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from k8s.preflight.facts import Node, Taint
from k8s.preflight.needs import Needs, needs
from k8s.preflight.rendering import Object

GIB = Decimal(2**30)


def container(image: str = "tierflow/gateway:0.1.0", **resources: str) -> dict[str, Any]:
    """`resources` are requests, with `_` for `.` and `__` for `/` in their names."""
    named = {
        name.replace("__", "/").replace("_", "."): amount for name, amount in resources.items()
    }
    return {"name": "main", "image": image, "resources": {"requests": named}}


def deployment(
    name: str = "edge",
    replicas: int | None = 1,
    containers: tuple[Mapping[str, Any], ...] = (),
    **spec: Any,
) -> Object:
    """`spec`: further fields of the pod's specification."""
    pod = {"containers": list(containers) or [container()], **spec}
    whole: Object = {"template": {"spec": pod}}
    if replicas is not None:
        whole["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": whole,
    }


def claim(
    name: str = "models", storage_class: str | None = None, *, shared: bool = False
) -> Object:
    spec: Object = {"accessModes": ["ReadWriteMany" if shared else "ReadWriteOnce"]}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def plain(api_version: str, kind: str, **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "any"}, **fields}


def needed(*objects: Object) -> Needs:
    return needs(objects)


def node(
    name: str = "one",
    *,
    architecture: str = "amd64",
    ready: bool = True,
    schedulable: bool = True,
    cpu: str = "4",
    gib: int = 16,
    labels: Mapping[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
    images: frozenset[str] = frozenset(),
    **devices: int,
) -> Node:
    """`devices` by resource name, written as in `nvidia_com__gpu`."""
    amounts = {"cpu": Decimal(cpu), "memory": gib * GIB}
    for resource, count in devices.items():
        amounts[resource.replace("__", "/").replace("_", ".")] = Decimal(count)
    return Node(
        name=name,
        architecture=architecture,
        ready=ready,
        schedulable=schedulable,
        labels=labels or {},
        taints=taints,
        allocatable=amounts,
        images=images,
    )
