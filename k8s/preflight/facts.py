"""What was read: from the cluster and from registries. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

Amounts: TypeAlias = Mapping[str, Decimal]
"""By resource name: `cpu` in cores, `memory` in bytes, `nvidia.com/gpu` in pieces, …"""


@dataclass(frozen=True)
class Unread:
    """A fact that could not be read."""

    reason: str


Found = TypeVar("Found")
Reading: TypeAlias = Found | Unread


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class Node:
    name: str
    architecture: str
    ready: bool
    schedulable: bool
    """False where it was cordoned."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    allocatable: Amounts = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    """Names of images that the node holds already, as the node reports them."""

    @property
    def usable(self) -> bool:
        return self.ready and self.schedulable


@dataclass(frozen=True, kw_only=True)
class RunningPod:
    """A pod that has a node and has not ended."""

    namespace: str
    node: str
    labels: Mapping[str, str] = field(default_factory=dict)
    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A ResourceQuota: what all pods and objects of a namespace may have together."""

    name: str
    hard: Amounts
    """As it names them: `requests.cpu`, `limits.memory`, `pods`, `count/secrets`, …"""
    used: Amounts
    scoped: bool
    """It counts some pods only, by their priority or kind."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """One item of a LimitRange."""

    name: str
    of: str
    """Container, Pod or PersistentVolumeClaim."""
    least: Amounts = field(default_factory=dict)
    most: Amounts = field(default_factory=dict)
    default_limit: Amounts = field(default_factory=dict)
    default_request: Amounts = field(default_factory=dict)


@dataclass(frozen=True)
class Admission:
    """The API server's word on an object. `refusal` is empty where it would take it."""

    refusal: str


@dataclass(frozen=True, order=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, order=True)
class Named:
    """An object that is named and not brought along."""

    kind: str
    name: str
    namespace: str


@dataclass(frozen=True)
class StorageClass:
    name: str
    provisioner: str
    default: bool


@dataclass(frozen=True)
class ServedKind:
    plural: str
    namespaced: bool


@dataclass(frozen=True, order=True, kw_only=True)
class Right:
    """A question to the API server: may I do this?"""

    verb: str
    group: str
    resource: str
    namespace: str
    """Empty: in the whole cluster."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The facts that were read from an API server. Every reading may have failed on its own."""

    version: Reading[str]
    nodes: Reading[tuple[Node, ...]]
    pods: Reading[tuple[RunningPod, ...]]
    runtime_classes: Reading[frozenset[str]]
    storage_classes: Reading[tuple[StorageClass, ...]]
    ingress_classes: Reading[frozenset[str]]
    namespace_labels: Reading[Mapping[str, str] | None]
    """None: there is no such namespace yet."""
    quotas: Reading[tuple[Quota, ...]]
    bounds: Reading[tuple[Bounds, ...]]
    api_servers: Reading[tuple[Address, ...]]
    """Where pods reach the API server behind its Service."""
    policies: Reading[tuple[Mapping[str, Any], ...]]
    """The namespace's NetworkPolicies as they are."""
    named: Mapping[Named, Reading[frozenset[str] | None]]
    """The keys of their data; None where there is no such object."""
    served: Mapping[str, Reading[Mapping[str, ServedKind]]]
    """Kinds by API version, as in {"apps/v1": {"Deployment": …}}; empty where it is not served."""

    @property
    def namespace_exists(self) -> Reading[bool]:
        labels = self.namespace_labels
        return labels if isinstance(labels, Unread) else labels is not None


@dataclass(frozen=True)
class Manifest:
    """A registry's answer about one image."""

    architectures: frozenset[str]
    """Empty: the registry has no such image."""
