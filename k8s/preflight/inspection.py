"""Reads everything that the checks need, and has it judged."""

from __future__ import annotations

from k8s.preflight.cluster.connection import Connection, Refused, Unreachable
from k8s.preflight.cluster.dry_run import dry_run
from k8s.preflight.cluster.reading import read_cluster
from k8s.preflight.cluster.rights import ask, granted_rights, install_rights
from k8s.preflight.judgements import judge
from k8s.preflight.judgements.parts import METRICS_API
from k8s.preflight.needs import Needs
from k8s.preflight.references import references as references_of
from k8s.preflight.registry import look_up
from k8s.preflight.report import Finding, Result


def inspect(
    connection: Connection,
    needs: Needs,
    namespace: str,
    timeout_s: float,
    *,
    api_looked_up: bool = False,
) -> list[Finding]:
    """`timeout_s` holds for each request to a registry. `api_looked_up`: the install itself finds
    out where the API server is. Raises UsageFailure for an object that lacks a part."""
    references = references_of(needs, namespace)
    versions = {entry["apiVersion"] for entry in needs.objects} | {METRICS_API}
    check = "API server"
    try:
        cluster = read_cluster(connection, namespace, versions, (each.named for each in references))
    except Unreachable as why:
        todo = "see that the cluster runs, and that --context names the one you mean"
        return [
            Finding(
                check=check, result=Result.MISSING, found=f"{connection.server}: {why}", todo=todo
            )
        ]
    except Refused as why:
        todo = "renew the credentials in the kubeconfig"
        return [
            Finding(
                check=check, result=Result.MISSING, found=f"{connection.server}: {why}", todo=todo
            )
        ]
    install = ask(connection, install_rights(needs.objects, cluster, namespace))
    granted = ask(connection, granted_rights(needs.objects, namespace))
    admissions = (
        dry_run(connection, needs, namespace) if cluster.namespace_labels is not None else {}
    )
    manifests = look_up((name for pod in needs.pods for name in pod.images), timeout_s)
    reached = Finding(check=check, result=Result.OK, found=connection.server)
    found = judge(
        into=namespace,
        needs=needs,
        cluster=cluster,
        manifests=manifests,
        install=install,
        granted=granted,
        admissions=admissions,
        references=references,
        api_looked_up=api_looked_up,
    )
    return [reached, *found]
