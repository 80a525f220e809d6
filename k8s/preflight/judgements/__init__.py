"""What the needs and the facts mean to somebody who is about to install. Pure.

One question a file; each gives its findings in the order of the table. A reading that failed
gives `not checked` with the reason, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from k8s.preflight.facts import Admission, Cluster, Manifest, Reading, Right
from k8s.preflight.judgements.accelerators import accelerators, runtime_classes
from k8s.preflight.judgements.admission import admission
from k8s.preflight.judgements.allowances import limit_ranges, quotas
from k8s.preflight.judgements.creation import creation
from k8s.preflight.judgements.egress import looked_up, way_to_api_server
from k8s.preflight.judgements.machines import namespace, nodes, version
from k8s.preflight.judgements.named import named
from k8s.preflight.judgements.parts import ingress_classes, parts
from k8s.preflight.judgements.permissions import permissions
from k8s.preflight.judgements.pulls import pulls
from k8s.preflight.judgements.room import as_running, room, runs_already, taken
from k8s.preflight.judgements.storage import storage
from k8s.preflight.needs import Needs
from k8s.preflight.references import Reference
from k8s.preflight.report import Finding


def judge(
    *,
    into: str,
    needs: Needs,
    cluster: Cluster,
    manifests: Mapping[str, Reading[Manifest]],
    install: Mapping[Right, Reading[bool]],
    granted: Mapping[Right, Reading[bool]],
    admissions: Mapping[str, Reading[Admission]],
    creations: Mapping[str, Reading[Admission]],
    references: Sequence[Reference],
    api_looked_up: bool,
) -> list[Finding]:
    """`into`: the namespace of the install. `admissions` by the owner of pods,
    `creations` by kind and name of the other objects."""
    used = taken(cluster.pods, needs, into)
    needs = as_running(needs, cluster.pods, into)
    upgrade = runs_already(cluster.pods, needs, into)
    return [
        version(cluster.version),
        namespace(into, cluster.namespace_exists),
        nodes(cluster.nodes),
        *accelerators(needs, cluster.nodes, used),
        runtime_classes(needs, cluster.runtime_classes),
        *storage(needs, cluster.storage_classes),
        *parts(needs, cluster.served),
        *ingress_classes(needs, cluster.ingress_classes),
        *room(needs, cluster.nodes, used, upgrade=upgrade),
        *quotas(needs, cluster.quotas, cluster.pods, into),
        *limit_ranges(needs, cluster.bounds),
        *admission(needs, cluster.namespace_labels, admissions, upgrade=upgrade),
        *creation(creations, upgrade=upgrade),
        *named(references, cluster.named),
        *(
            looked_up(cluster.api_servers)
            if api_looked_up
            else way_to_api_server(needs, cluster.api_servers, cluster.policies, into)
        ),
        *pulls(needs, cluster.nodes, manifests),
        permissions("rights to install", install),
        permissions("rights the gateway gets", granted),
    ]
