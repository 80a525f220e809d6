"""Reads everything that the checks need, and has it judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from k8s.preflight.cluster.connection import Connection, Refused, Unreachable
from k8s.preflight.cluster.dry_run import dry_run
from k8s.preflight.cluster.object_dry_run import dry_run_objects
from k8s.preflight.cluster.reading import read_cluster
from k8s.preflight.cluster.rights import ask, granted_rights, install_rights
from k8s.preflight.facts import Admission, Cluster, Reading, Right
from k8s.preflight.judgements import judge
from k8s.preflight.judgements.gateway_settings import SettingsCheck, gateway_settings
from k8s.preflight.judgements.parts import METRICS_API
from k8s.preflight.needs import Needs
from k8s.preflight.references import references as references_of
from k8s.preflight.registry import look_up
from k8s.preflight.report import Finding, Result

API_SERVER = "API server"


def inspect(
    connection: Connection,
    needs: Needs,
    namespace: str,
    timeout_s: float,
    *,
    settings_check: SettingsCheck | None = None,
    api_looked_up: bool = False,
) -> list[Finding]:
    """`timeout_s` holds for each request to a registry. `settings_check`: the gateway's word on
    its settings. `api_looked_up`: the install itself finds out where the API server is.

    Raises UsageFailure for an object that lacks a part.
    """
    references = references_of(needs, namespace)
    # Before any thread runs: it may look at the process' environment.
    settings = gateway_settings(needs, settings_check)
    versions = {entry["apiVersion"] for entry in needs.objects} | {METRICS_API}
    try:
        cluster = read_cluster(connection, namespace, versions, (each.named for each in references))
    except (Unreachable, Refused) as why:
        return [_not_read(connection, why), *settings]
    answers = _answers(connection, needs, cluster, namespace)
    found = judge(
        into=namespace,
        needs=needs,
        cluster=cluster,
        manifests=look_up((name for pod in needs.pods for name in pod.images), timeout_s),
        install=answers.install,
        granted=answers.granted,
        admissions=answers.admissions,
        creations=answers.creations,
        references=references,
        api_looked_up=api_looked_up,
    )
    reached = Finding(check=API_SERVER, result=Result.OK, found=connection.server)
    return [reached, *settings, *found]


def _not_read(connection: Connection, why: Unreachable | Refused) -> Finding:
    todo = "see that the cluster runs, and that --context names the one you mean"
    if isinstance(why, Refused):
        todo = "renew the credentials in the kubeconfig"
    found = f"{connection.server}: {why}"
    return Finding(check=API_SERVER, result=Result.MISSING, found=found, todo=todo)


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What the API server says of the install: whether it may be, and what becomes of its pods and
    objects."""

    install: Mapping[Right, Reading[bool]]
    granted: Mapping[Right, Reading[bool]]
    admissions: Mapping[str, Reading[Admission]]
    creations: Mapping[str, Reading[Admission]]


def _answers(connection: Connection, needs: Needs, cluster: Cluster, namespace: str) -> _Answers:
    # Without the namespace, nothing can be tried in it.
    tried = cluster.namespace_labels is not None
    return _Answers(
        install=ask(connection, install_rights(needs.objects, cluster, namespace)),
        granted=ask(connection, granted_rights(needs.objects, namespace)),
        admissions=dry_run(connection, needs, namespace) if tried else {},
        creations=dry_run_objects(connection, needs, cluster, namespace) if tried else {},
    )
