"""Whether each image exists for the architectures of the nodes that may run it."""

from __future__ import annotations

from collections.abc import Mapping

from k8s.preflight.facts import Manifest, Node, Reading, Unread
from k8s.preflight.images import image
from k8s.preflight.needs import Needs
from k8s.preflight.placement import admitted
from k8s.preflight.report import Finding, Result

PUSH = "push it there, name another registry in the values (global.imageRegistry)"


def pulls(
    needs: Needs,
    nodes: Reading[tuple[Node, ...]],
    manifests: Mapping[str, Reading[Manifest]],
) -> list[Finding]:
    """A row for each image."""
    targets_by_image: dict[str, dict[str, Node]] = {}
    for pod in needs.pods:
        targets = () if isinstance(nodes, Unread) else admitted(pod, nodes)
        for name in pod.images:
            targets_by_image.setdefault(name, {}).update({node.name: node for node in targets})
    unknown = isinstance(nodes, Unread)
    return [
        _pull(name, list(targets.values()), unknown, manifests.get(name, Unread("not asked for")))
        for name, targets in sorted(targets_by_image.items())
    ]


def _pull(name: str, targets: list[Node], unknown: bool, reading: Reading[Manifest]) -> Finding:
    check = f"image {name}"
    holding = {node.name for node in targets if image(name).names & node.images}
    if targets and len(holding) == len(targets):
        return Finding(
            check=check, result=Result.OK, found="every node that may run it holds it already"
        )
    some = f"; {len(holding)} of {len(targets)} nodes hold it already" if holding else ""
    if isinstance(reading, Unread):
        todo = "see that the nodes can pull it: with imagePullSecrets, or loaded beforehand"
        return Finding(
            check=check, result=Result.NOT_CHECKED, found=reading.reason + some, todo=todo
        )
    if not reading.architectures:
        found = f"{image(name).registry} has no such image{some}"
        todo = f"{PUSH}, or load it into every node"
        return Finding(
            check=check,
            result=Result.WARNING if holding else Result.MISSING,
            found=found,
            todo=todo,
        )
    listed = ", ".join(sorted(reading.architectures))
    if unknown:
        return Finding(
            check=check,
            result=Result.NOT_CHECKED,
            found=f"exists for {listed}; the nodes are not known",
        )
    needed = {node.architecture for node in targets}
    lacking = sorted(needed - reading.architectures)
    if not lacking:
        return Finding(check=check, result=Result.OK, found=listed)
    found = f"exists for {listed}, not for {', '.join(lacking)}"
    if needed & reading.architectures:
        usable = sorted(needed & reading.architectures)[0]
        todo = f"keep its pods off those nodes: nodeSelector kubernetes.io/arch: {usable}"
        return Finding(check=check, result=Result.WARNING, found=found, todo=todo)
    return Finding(
        check=check,
        result=Result.MISSING,
        found=found,
        todo="build it for this architecture: make images",
    )
