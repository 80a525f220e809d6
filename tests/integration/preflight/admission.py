"""What an API server's admission says of pods, in its own words: a namespace's stand-in.

The messages are those of Kubernetes 1.36: PodSecurity, LimitRanger, ServiceAccount, Priority,
ResourceQuota, webhooks and RBAC. A dry run charges no quota.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from k8s.preflight.needs import containers, limits, requests, written
from k8s.preflight.quantities import quantity
from tests.stand_in import Answer, Request, Table, refusal

Object = dict[str, Any]
PATH = "/api/v1/namespaces/tierflow"
PLURALS = ("secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts")
POLICIES = "/apis/networking.k8s.io/v1"
CREATED = [
    *(("/api/v1", plural) for plural in (*PLURALS, "services")),
    ("/apis/apps/v1", "deployments"),
    ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    ("/apis/policy/v1", "poddisruptionbudgets"),
    (POLICIES, "ingresses"),
    *(("/apis/rbac.authorization.k8s.io/v1", plural) for plural in ("roles", "rolebindings")),
]
"""Where objects are created."""
NODE_PORTS = range(30000, 32768)


@dataclass
class Namespace:
    """A namespace of a cluster. `level`: of pod security; `quotas` by name, what is hard;
    `ranges`: items of one LimitRange; `webhook`: how a policy's webhook refuses every pod."""

    level: str = "privileged"
    quotas: dict[str, dict[str, str]] = field(default_factory=dict)
    ranges: list[Object] = field(default_factory=list)
    may_create: bool = True
    webhook: Answer | None = None
    objects: dict[tuple[str, str], Object] = field(
        default_factory=lambda: {("serviceaccounts", "default"): {}}
    )
    charged: dict[str, Decimal] = field(default_factory=dict)
    api_port: int = 6443
    policies: list[Object] = field(default_factory=list)

    def add(self, plural: str, name: str, **data: str) -> None:
        self.objects[plural, name] = {"metadata": {"name": name}, "data": data}

    def answers(self) -> Table:
        """By path, as they are now."""
        labels = {"pod-security.kubernetes.io/enforce": self.level}
        metadata = {"name": "tierflow", "labels": labels if self.level != "privileged" else {}}
        return {
            PATH: Answer({"metadata": metadata}),
            f"{PATH}/pods": self.admit,
            f"{PATH}/resourcequotas": _list(*(self._quota(name) for name in self.quotas)),
            **{f"{root}/namespaces/tierflow/{plural}": self.create for root, plural in CREATED},
            f"{POLICIES}/namespaces/tierflow/networkpolicies": self._network_policies,
            f"{PATH}/limitranges": _list(*self._limit_ranges()),
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": self._api_servers,
            **{
                f"{PATH}/{plural}/{name}": Answer(item)
                for (plural, name), item in self.objects.items()
            },
        }

    def create(self, request: Request) -> Answer:
        """Of an object that is no pod; nothing is kept."""
        entry, plural = request.body, request.path.rpartition("/")[2]
        name = entry["metadata"]["name"]
        if not self.may_create:
            return self._no_right(plural)
        if words := next(_invalid(entry), ""):
            kind, group = entry["kind"], entry["apiVersion"].rpartition("/")[0]
            whole = f"{kind}.{group}" if group else kind
            return refusal(422, f'{whole} "{name}" is invalid: {words}')
        if (plural, name) in self.objects:
            return refusal(409, f'{plural} "{name}" already exists')
        return Answer(entry, 201)

    def admit(self, request: Request) -> Answer:
        pod = request.body
        problem = next(self._problems(pod), None)
        if problem is not None:
            return problem
        if request.query.get("dryRun") != "All":
            self._charge(pod)
        return Answer(pod, 201)

    def _problems(self, pod: Object) -> Iterator[Answer]:
        name, spec = pod["metadata"]["name"], pod["spec"]
        if not self.may_create:
            yield self._no_right("pods")
        forbidden = f'pods "{name}" is forbidden: '
        account = spec.get("serviceAccountName", "default")
        if ("serviceaccounts", account) not in self.objects:
            yield refusal(
                403,
                f"{forbidden}error looking up service account tierflow/{account}: serviceaccount "
                f'"{account}" not found',
            )
        if chosen := spec.get("priorityClassName"):
            yield refusal(403, f"{forbidden}no PriorityClass with name {chosen} was found")
        for words in self._out_of_range(spec):
            yield refusal(403, forbidden + words)
        if self.level == "restricted" and (words := ", ".join(_against_restricted(spec))):
            yield refusal(403, f'{forbidden}violates PodSecurity "restricted:latest": {words}')
        if self.webhook is not None:
            yield self.webhook
        for quota in self.quotas:
            if words := self._over(quota, pod):
                yield refusal(403, forbidden + words)

    def _no_right(self, plural: str) -> Answer:
        return refusal(
            403,
            f'{plural} is forbidden: User "jane" cannot create resource "{plural}" in API group '
            '"" in the namespace "tierflow"',
        )

    def _network_policies(self, request: Request) -> Answer:
        return self.create(request) if request.method == "POST" else _list(*self.policies)

    def _out_of_range(self, spec: Object) -> Iterator[str]:
        for item in self.ranges:
            for container in containers(spec) if item["type"] == "Container" else ():
                limited = written(container, ("limits",))
                for name, most in (item.get("max") or {}).items():
                    if name not in limited and name not in (item.get("default") or {}):
                        yield (
                            f"maximum {name} usage per Container is {most}.  No limit is specified"
                        )
                    elif name in limited and limited[name] > quantity(most):
                        told = container["resources"]["limits"][name]
                        yield f"maximum {name} usage per Container is {most}, but limit is {told}"

    def _over(self, name: str, pod: Object) -> str:
        hard = self.quotas[name]
        asked = _counted(pod["spec"])
        if lacking := sorted(key for key in hard if "." in key and key not in asked):
            container = pod["spec"]["containers"][0]["name"]
            told = "; ".join(f"{key} for: {container}" for key in lacking)
            return f"failed quota: {name}: must specify {told}"
        over = [
            key
            for key, most in hard.items()
            if self.charged.get(key, Decimal(0)) + asked.get(key, Decimal(0)) > quantity(most)
        ]
        if not over:
            return ""
        return (
            f"exceeded quota: {name}, "
            + ", ".join(f"requested: {key}={asked[key]}" for key in over)
            + ", "
            + ", ".join(f"used: {key}={self.charged.get(key, Decimal(0))}" for key in over)
            + ", "
            + ", ".join(f"limited: {key}={hard[key]}" for key in over)
        )

    def _charge(self, pod: Object) -> None:
        for key, amount in _counted(pod["spec"]).items():
            self.charged[key] = self.charged.get(key, Decimal(0)) + amount

    def _limit_ranges(self) -> list[Object]:
        whole = {"metadata": {"name": "bounds"}, "spec": {"limits": self.ranges}}
        return [whole] if self.ranges else []

    def _quota(self, name: str) -> Object:
        hard = self.quotas[name]
        used = {key: str(self.charged.get(key, 0)) for key in hard}
        return {
            "metadata": {"name": name},
            "spec": {"hard": hard},
            "status": {"hard": hard, "used": used},
        }

    def _api_servers(self, request: Request) -> Answer:
        assert request.query["labelSelector"] == "kubernetes.io/service-name=kubernetes"
        item = {
            "metadata": {"name": "kubernetes"},
            "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": self.api_port, "protocol": "TCP"}],
        }
        return _list(item)


def _invalid(entry: Object) -> Iterator[str]:
    """What validation says of fields that a schema lets pass."""
    spec = entry.get("spec") or {}
    strategy = (spec.get("strategy") or {}).get("type", "Recreate")
    if entry["kind"] == "Deployment" and strategy not in ("Recreate", "RollingUpdate"):
        yield (
            f'spec.strategy.type: Unsupported value: "{strategy}": supported values: "Recreate", '
            '"RollingUpdate"'
        )
    for place, port in enumerate(spec.get("ports") or () if entry["kind"] == "Service" else ()):
        number = port.get("nodePort")
        if number and number not in NODE_PORTS:
            yield (
                f"spec.ports[{place}].nodePort: Invalid value: {number}: provided port is not in "
                "the valid range. The range of valid ports is 30000-32767"
            )
    for peer in _blocks(spec) if entry["kind"] == "NetworkPolicy" else ():
        if "/" not in peer:
            yield f'spec.egress[0].to[0].ipBlock.cidr: Invalid value: "{peer}": must be a CIDR'


def _blocks(spec: Object) -> Iterator[str]:
    for rule in spec.get("egress") or ():
        yield from (each["ipBlock"]["cidr"] for each in rule.get("to") or () if "ipBlock" in each)


def _counted(spec: Object) -> dict[str, Decimal]:
    counted = {"pods": Decimal(1)}
    counted |= {f"requests.{name}": amount for name, amount in requests(spec).items()}
    return counted | {f"limits.{name}": amount for name, amount in limits(spec).items()}


def _against_restricted(spec: Object) -> Iterator[str]:
    """The checks that a chart can fail, each as PodSecurity tells it."""
    whole = spec.get("securityContext") or {}
    for container in containers(spec):
        own, name = container.get("securityContext") or {}, container["name"]
        if own.get("allowPrivilegeEscalation") is not False:
            yield (
                f'allowPrivilegeEscalation != false (container "{name}" must set '
                "securityContext.allowPrivilegeEscalation=false)"
            )
        if "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()):
            yield (
                f'unrestricted capabilities (container "{name}" must set '
                'securityContext.capabilities.drop=["ALL"])'
            )
        if not own.get("runAsNonRoot", whole.get("runAsNonRoot")):
            yield (
                f'runAsNonRoot != true (pod or container "{name}" must set '
                "securityContext.runAsNonRoot=true)"
            )
        profile = own.get("seccompProfile") or whole.get("seccompProfile") or {}
        if profile.get("type") not in ("RuntimeDefault", "Localhost"):
            yield (
                f'seccompProfile (pod or container "{name}" must set '
                'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
            )


def _list(*items: Object) -> Answer:
    return Answer({"kind": "List", "metadata": {}, "items": list(items)})
