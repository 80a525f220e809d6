"""What `podman kube play` can run of rendered manifests.

It knows pods, Deployments of one pod, ConfigMaps, Secrets and claims. Everything else is left out and
counted. What is kept stays as it was rendered but for three things, each of which Kubernetes does and
podman does not: Services, probes, and reading a Secret's `stringData`.
"""

from __future__ import annotations

import base64
import copy
from collections import Counter
from dataclasses import dataclass

from tests.containers.rendering import Manifest

KNOWN = ("ConfigMap", "Secret", "PersistentVolumeClaim", "Deployment")
HOOK = "helm.sh/hook"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


class Unplayable(Exception):
    """A manifest asks for what podman can't do; one line that names it."""


@dataclass(frozen=True)
class Playable:
    manifests: list[Manifest]
    left_out: Counter[str]
    """How many of each kind are not run."""


def playable(rendered: list[Manifest], ports: dict[str, int]) -> Playable:
    """`ports` are this machine's ports by the component whose first port they lead to.

    Raises Unplayable.
    """
    kept: list[Manifest] = []
    left_out: Counter[str] = Counter()
    for manifest in rendered:
        hook = HOOK in manifest["metadata"].get("annotations", {})
        if hook or manifest["kind"] not in KNOWN:
            left_out[f"{manifest['kind']} ({'hook' if hook else 'unknown to podman'})"] += 1
        else:
            kept.append(_adapted(copy.deepcopy(manifest), ports))
    return Playable(kept, left_out)


def _adapted(manifest: Manifest, ports: dict[str, int]) -> Manifest:
    if manifest["kind"] == "Secret":
        _encode(manifest)
    if manifest["kind"] == "Deployment":
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        if spec.get("replicas", 1) != 1:
            raise Unplayable(f"Deployment {name}: {spec['replicas']} replicas; podman runs one")
        component = spec["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        for container in spec["template"]["spec"]["containers"]:
            # podman asks probes with a curl inside the container, which no image here has.
            for probe in PROBES:
                container.pop(probe, None)
            if component in ports:
                container["ports"][0] |= {"hostPort": ports[component], "hostIP": "127.0.0.1"}
    return manifest


def _encode(secret: Manifest) -> None:
    for name, text in secret.pop("stringData", {}).items():
        secret.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()
