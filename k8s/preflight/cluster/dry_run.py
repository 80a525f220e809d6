"""Asks the API server whether it would take the pods: a server-side dry run of one pod for each
workload.

A dry run goes through everything that a real pod does (validation, the namespace's pod security,
quotas, limit ranges, priority and runtime classes, policies of webhooks), and is not stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

from k8s.preflight.cluster.connection import Connection, Refused, Unreachable
from k8s.preflight.facts import Admission, Reading, Unread
from k8s.preflight.needs import Needs, PodNeed

AT_ONCE = 8
NO_RIGHT = re.compile(r"cannot create resource \"")
NO_DRY_RUN = re.compile(r"does not support dry ?run")
JUDGED = (400, 403, 409, 422)
"""Statuses with which admission and validation refuse. 404 is a namespace that is not there."""
WEBHOOK_LOST = "failed calling webhook"


def dry_run(connection: Connection, needs: Needs, into: str) -> Mapping[str, Reading[Admission]]:
    """By the owner of the pods. `into`: the namespace of the install."""
    brought = {
        entry["metadata"]["name"] for entry in needs.objects if entry["kind"] == "ServiceAccount"
    }

    def asked(pod: PodNeed) -> Reading[Admission]:
        namespace = pod.namespace or into
        path = f"/api/v1/namespaces/{namespace}/pods"
        try:
            connection.post(path, probe(pod, namespace, brought), dryRun="All")
        except Unreachable as why:
            return Unread(str(why))
        except Refused as refused:
            return verdict(refused.status, str(refused))
        return Admission("")

    with ThreadPoolExecutor(AT_ONCE) as threads:
        words = threads.map(asked, needs.pods)
        return dict(zip((pod.owner for pod in needs.pods), words, strict=True))


def probe(pod: PodNeed, namespace: str, brought: set[str]) -> dict[str, Any]:
    """The pod as its owner would make it. A service account that the release brings along is not
    there yet, so that the namespace's own stands for it."""
    spec = deepcopy(dict(pod.spec))
    for field in ("serviceAccountName", "serviceAccount"):
        if spec.get(field) in brought:
            del spec[field]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": _name(pod.owner),
            "namespace": namespace,
            "labels": dict(pod.labels),
            "annotations": dict(pod.annotations),
        },
        "spec": spec,
    }


def verdict(status: int, message: str) -> Reading[Admission]:
    """What a refusal means: of this object, or of the question."""
    if NO_RIGHT.search(message) or NO_DRY_RUN.search(message):
        return Unread(message)
    if status in JUDGED or WEBHOOK_LOST in message:
        return Admission(re.sub(r"^[\w.-]+ \"[^\"]*\" is (forbidden|invalid): ", "", message))
    return Unread(message)


def _name(owner: str) -> str:
    """As in `tierflow-gateway-preflight`, or `tierflow-cloud-leader-preflight`."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", owner.partition("/")[2].lower()).strip("-")
    return f"{plain}-preflight"
