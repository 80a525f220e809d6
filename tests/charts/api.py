"""What Helm asks an API server before it looks anything up: which kinds there are."""

from __future__ import annotations

from tests.stand_in import Answer, Table

KINDS: dict[str, dict[str, str]] = {
    "v1": {
        "secrets": "Secret",
        "services": "Service",
        "configmaps": "ConfigMap",
        "serviceaccounts": "ServiceAccount",
        "persistentvolumeclaims": "PersistentVolumeClaim",
        "pods": "Pod",
    },
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "rbac.authorization.k8s.io/v1": {"roles": "Role", "rolebindings": "RoleBinding"},
    "discovery.k8s.io/v1": {"endpointslices": "EndpointSlice"},
}
CREATED_ONLY = {"authorization.k8s.io/v1": {"selfsubjectaccessreviews": "SelfSubjectAccessReview"}}
"""Kinds that nobody lists or watches."""


def discovery() -> Table:
    """Everything that the charts render by default is there, and nothing else is."""
    groups = []
    table: Table = {
        "/version": Answer({"major": "1", "minor": "33", "gitVersion": "v1.33.0"}),
        "/api": Answer({"kind": "APIVersions", "versions": ["v1"]}),
    }
    for group, kinds in (KINDS | CREATED_ONLY).items():
        verbs = ["create"] if group in CREATED_ONLY else ["get", "list", "watch", "create"]
        resources = [
            {"name": name, "kind": kind, "namespaced": True, "verbs": verbs}
            for name, kind in kinds.items()
        ]
        listed = {"kind": "APIResourceList", "groupVersion": group, "resources": resources}
        table[f"/apis/{group}" if "/" in group else f"/api/{group}"] = Answer(listed)
        name, _, version = group.rpartition("/")
        if name:
            known = {"groupVersion": group, "version": version}
            groups.append({"name": name, "versions": [known], "preferredVersion": known})
    table["/apis"] = Answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
    return table
