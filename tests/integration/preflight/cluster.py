"""A small healthy cluster and registry, as their servers would answer."""

from __future__ import annotations

from typing import Any

from tests.integration.preflight.admission import Namespace
from tests.stand_in import Answer, Request, StandIn, Table

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
IMAGE = "tierflow/engine:0.1.0"
INDEX = "application/vnd.oci.image.index.v1+json"


def listed(*items: dict[str, Any]) -> Answer:
    return Answer({"kind": "List", "metadata": {}, "items": list(items)})


def node(name: str = "one", gpus: int = 0, **status: Any) -> dict[str, Any]:
    allocatable = {"cpu": "3920m", "memory": "15Gi", "pods": "110"}
    if gpus:
        allocatable["nvidia.com/gpu"] = str(gpus)
    labels = {"kubernetes.io/arch": "amd64"}
    if gpus:
        labels["nvidia.com/gpu.product"] = "NVIDIA-L4"
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "nodeInfo": {"architecture": "amd64"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": allocatable,
            "images": [],
            **status,
        },
    }


def kinds(**plurals: str) -> Answer:
    """A resource list; a subresource is among them as with a real server."""
    resources = [
        {"name": plural, "kind": kind, "namespaced": True} for kind, plural in plurals.items()
    ]
    sub = [{**each, "name": f"{each['name']}/status"} for each in resources]
    return Answer({"kind": "APIResourceList", "resources": resources + sub})


def review(request: Request) -> Answer:
    """Everything is allowed."""
    return Answer({**request.body, "status": {"allowed": True}}, 201)


def healthy() -> Table:
    busy = {
        "spec": {
            "nodeName": "one",
            "containers": [{"name": "x", "resources": {"requests": {"cpu": "500m"}}}],
        },
        "status": {"phase": "Running"},
    }
    local = {
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "rancher.io/local-path",
    }
    return {
        "/version": Answer({"major": "1", "minor": "33", "gitVersion": "v1.33.2"}),
        "/api/v1/nodes": listed(node()),
        "/api/v1/pods": listed(busy),
        **Namespace().answers(),
        "/apis/node.k8s.io/v1/runtimeclasses": listed(),
        "/apis/storage.k8s.io/v1/storageclasses": listed(local),
        "/apis/networking.k8s.io/v1/ingressclasses": listed(),
        "/api/v1": kinds(Service="services", PersistentVolumeClaim="persistentvolumeclaims"),
        "/apis/apps/v1": kinds(Deployment="deployments"),
        "/apis/rbac.authorization.k8s.io/v1": kinds(Role="roles"),
        REVIEWS: review,
    }


def index(*architectures: str) -> Answer:
    """Of an image for several architectures, with an attestation beside them."""
    manifests = [{"platform": {"os": "linux", "architecture": each}} for each in architectures]
    manifests.append({"platform": {"os": "unknown", "architecture": "unknown"}})
    return Answer({"manifests": manifests}, headers={"Content-Type": INDEX})


def manifest_path(repository: str = "tierflow/engine", reference: str = "0.1.0") -> str:
    return f"/v2/{repository}/manifests/{reference}"


def kubeconfig(server: str, token: str = "a-token") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }


def manifests(registry: StandIn, *, gpus: int = 0) -> list[dict[str, Any]]:
    """What a chart might render: an engine with a volume, and the gateway's role."""
    limits = {"nvidia.com/gpu": gpus} if gpus else {}
    resources = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": limits}
    image = f"{registry.address}/{IMAGE}"
    container = {"name": "engine", "image": image, "resources": resources}
    rules = [
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        }
    ]
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "edge"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models"},
            "spec": {"accessModes": ["ReadWriteOnce"]},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "gateway"},
            "rules": rules,
        },
    ]
