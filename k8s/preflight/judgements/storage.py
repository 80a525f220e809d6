"""Storage classes for the volumes that are claimed."""

from __future__ import annotations

from k8s.preflight.facts import Reading, StorageClass, Unread
from k8s.preflight.needs import ClaimNeed, Needs
from k8s.preflight.report import Finding, Result

ONE_NODE_ONLY = (
    "rancher.io/local-path",
    "docker.io/hostpath",
    "k8s.io/minikube-hostpath",
    "microk8s.io/hostpath",
    "kubernetes.io/no-provisioner",
    "ebs.csi.aws.com",
    "kubernetes.io/aws-ebs",
    "disk.csi.azure.com",
    "pd.csi.storage.gke.io",
    "dobs.csi.digitalocean.com",
    "csi.hetzner.cloud",
    "topolvm.io",
    "openebs.io/local",
)
"""Provisioners known to offer no ReadWriteMany file systems. Any other may or may not."""


def storage(needs: Needs, reading: Reading[tuple[StorageClass, ...]]) -> list[Finding]:
    check = "storage classes"
    if isinstance(reading, Unread):
        result = Result.NOT_CHECKED if needs.claims else Result.OK
        return [
            Finding(
                check=check,
                result=result,
                found=reading.reason if needs.claims else "no volume is claimed",
            )
        ]
    listed = ", ".join(
        f"{storage_class.name} (default)" if storage_class.default else storage_class.name
        for storage_class in reading
    )
    found = [_claim(claim, reading) for claim in needs.claims]
    return [Finding(check=check, result=Result.OK, found=listed or "none"), *found]


def _claim(claim: ClaimNeed, classes: tuple[StorageClass, ...]) -> Finding:
    check = f"volume {claim.name}"
    if claim.storage_class == "":
        todo = "it names no class, so that a PersistentVolume must be there for it already"
        return Finding(check=check, result=Result.NOT_CHECKED, found="no class wanted", todo=todo)
    chosen = _chosen(claim, classes)
    if chosen is None and claim.storage_class is None:
        todo = "make one the default, or name one in the values (storageClass)"
        return Finding(
            check=check, result=Result.MISSING, found="no default storage class", todo=todo
        )
    if chosen is None:
        todo = "choose one that exists: kubectl get storageclass"
        return Finding(
            check=check,
            result=Result.MISSING,
            found=f"there is no class {claim.storage_class}",
            todo=todo,
        )
    if claim.shared and chosen.provisioner in ONE_NODE_ONLY:
        found = f"ReadWriteMany, and {chosen.name} ({chosen.provisioner}) serves one node only"
        todo = "choose a class of a network file system, or keep all replicas on one node"
        return Finding(check=check, result=Result.WARNING, found=found, todo=todo)
    return Finding(check=check, result=Result.OK, found=chosen.name)


def _chosen(claim: ClaimNeed, classes: tuple[StorageClass, ...]) -> StorageClass | None:
    if claim.storage_class is None:
        return next((storage_class for storage_class in classes if storage_class.default), None)
    return next(
        (storage_class for storage_class in classes if storage_class.name == claim.storage_class),
        None,
    )
