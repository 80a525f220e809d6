"""What `podman kube play` can run of rendered manifests.

It knows pods, ConfigMaps and claims; everything else is left out and counted. What is kept stays as
it was rendered, but for what Kubernetes does and podman does not or does differently by version:

- A Deployment becomes its pod, under the Deployment's name, by which other pods reach it. The pod's
  annotations go: podman takes none longer than a label.
- A port of this machine leads to a pod, in place of a Service; other ports go, which some versions
  would open on all of the machine's addresses.
- Volumes are named after their pod: podman would let all pods share those of one name. Those in
  memory become folders in this machine's memory: podman would make them on the disk, root's.
- Probes go: podman asks them with a curl inside the container, which no image here has.
- Secrets are made by the tool's own command, from `Playable.secrets`.
"""

from __future__ import annotations

import base64
import copy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.containers.rendering import Manifest

PLAYED = ("ConfigMap", "PersistentVolumeClaim")
HOOK = "helm.sh/hook"
COMPONENT = "app.kubernetes.io/component"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class Unplayable(Exception):
    """A manifest asks for what podman can't do; one line that names it."""


@dataclass(frozen=True)
class Playable:
    pods: list[Manifest]
    others: list[Manifest]
    """What pods mount: ConfigMaps and claims."""
    secrets: dict[str, dict[str, str]]
    """By name: the values in base64, by key."""
    in_memory: list[Path]
    """Folders that must be there, open to every user, before the pods start."""
    left_out: Counter[str]
    """How many of each kind are not run."""


def playable(rendered: list[Manifest], ports: dict[str, int], memory: Path) -> Playable:
    """`ports` are this machine's ports by the component whose first port they lead to, `memory` a
    folder on a file system in memory.

    Raises Unplayable.
    """
    parts = Playable([], [], {}, [], Counter())
    for manifest in rendered:
        kind, metadata = manifest["kind"], manifest["metadata"]
        if HOOK in metadata.get("annotations", {}):
            parts.left_out["hook"] += 1
        elif kind == "Deployment":
            pod = pod_of(manifest, ports)
            parts.pods.append(pod)
            parts.in_memory.extend(into_memory(pod, memory))
        elif kind == "Secret":
            parts.secrets[metadata["name"]] = values_of(manifest)
        elif kind in PLAYED:
            parts.others.append(manifest)
        else:
            parts.left_out[kind] += 1
    return parts


def pod_of(deployment: Manifest, ports: dict[str, int]) -> Manifest:
    """The one pod of a Deployment. Raises Unplayable where it has more."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]
    if spec.get("replicas", 1) != 1:
        raise Unplayable(f"Deployment {name}: {spec['replicas']} replicas; podman runs one")
    template = copy.deepcopy(spec["template"])
    for container in template["spec"]["containers"]:
        for probe in PROBES:
            container.pop(probe, None)
        first, *_ = container.pop("ports")
        if port := ports.get(template["metadata"]["labels"][COMPONENT]):
            container["ports"] = [first | {"hostPort": port, "hostIP": "127.0.0.1"}]
    mounts = [m for container in template["spec"]["containers"] for m in container["volumeMounts"]]
    for volume in [*template["spec"]["volumes"], *mounts]:
        volume["name"] = f"{name}-{volume['name']}"
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def into_memory(pod: Manifest, memory: Path) -> list[Path]:
    """Turns the pod's volumes that shall be in memory into folders there, which are given."""
    folders = []
    for volume in pod["spec"]["volumes"]:
        if volume.get("emptyDir", {}).get("medium") == "Memory":
            del volume["emptyDir"]
            folders.append(memory / volume["name"])
            volume["hostPath"] = {"path": str(folders[-1]), "type": "Directory"}
    return folders


def values_of(secret: Manifest) -> dict[str, str]:
    encoded: dict[str, str] = secret.get("data", {})
    plain = {
        name: base64.b64encode(text.encode()).decode()
        for name, text in secret.get("stringData", {}).items()
    }
    return encoded | plain
