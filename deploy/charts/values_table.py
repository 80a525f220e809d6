"""What a chart's values.yaml says of each value: its path, its default, and the comment above
it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

FIELDS = {
    "image": "The container image.",
    "imagePullSecrets": "Names of Secrets with the registry's login.",
    "strategy": "How a rollout replaces pods, as in a Deployment.",
    "nodeSelector": "Labels that a node must have.",
    "tolerations": "Taints of nodes that are no hindrance.",
    "affinity": "Which nodes and neighbours are wanted, as in a pod.",
    "topologySpreadConstraints": "How replicas spread over nodes and zones, as in a pod.",
    "priorityClassName": "How much the pods count where there is no room for all.",
    "runtimeClassName": "The container runtime, where it is not the nodes' default.",
    "schedulerName": "The scheduler, where it is not the cluster's default.",
    "hostAliases": "Names that the pods know beside DNS.",
    "dnsPolicy": "As in a pod.",
    "dnsConfig": "As in a pod.",
    "podAnnotations": "Further annotations of the pods.",
    "podLabels": "Further labels of the pods.",
    "extraVolumes": "Further volumes of the pods.",
    "extraVolumeMounts": "Where the main container has them.",
    "podSecurityContext": "As in a pod.",
    "securityContext": "As in a container.",
    "resources": "What a pod asks for, and may have at most.",
    "temporary": "The disk that a pod may write.",
    "service": "The Service.",
    "serviceAccount": "The pods' account, which may do nothing by itself.",
    "podDisruptionBudget": "How many pods a drain of nodes may take at once.",
    "networkPolicy": "Who may reach whom.",
    "probes": "How the kubelet asks whether the container lives.",
    "gpu": "The GPUs of each pod.",
    "engine": "How vLLM runs.",
    "global": "What holds for all charts of a release.",
}
"""What values mean that have no comment of their own, mostly because Kubernetes says it."""


@dataclass(frozen=True)
class Value:
    path: str
    """As for `--set`."""
    default: str
    """As YAML or JSON in one line; empty for a map whose values follow."""
    meaning: str
    """The comment's sentences; empty where there is none."""


def values(file: Path) -> list[Value]:
    """Every value of a values.yaml in its order, maps before what is in them."""
    text = file.read_text()
    node = yaml.compose(text)
    assert isinstance(node, MappingNode), file
    return list(_values(node, "", text.splitlines()))


def _values(node: MappingNode, above: str, lines: Sequence[str]) -> Iterator[Value]:
    for key, value in node.value:
        name = key.value.replace(".", r"\.")
        path = f"{above}.{name}" if above else name
        meaning = _comment(lines, key.start_mark.line, key.start_mark.column)
        if isinstance(value, MappingNode) and not value.flow_style:
            yield Value(path, "", meaning or FIELDS.get(key.value, ""))
            yield from _values(value, path, lines)
        else:
            yield Value(path, _default(value, lines), meaning or FIELDS.get(key.value, ""))


def _comment(lines: Sequence[str], line: int, column: int) -> str:
    """The comment right above a line, at its indentation; examples in it as code."""
    found: list[str] = []
    start = f"{' ' * column}#"
    while line > 0 and lines[line - 1].startswith(start):
        line -= 1
        found.insert(0, lines[line][len(start) :].removeprefix(" "))
    parts = [f"`{part.strip()}`" if part.startswith("  ") else part.strip() for part in found]
    return re.sub(r" (?=`)(?=`[^`]*`$)", " ", " ".join(parts))


def _default(node: Node, lines: Sequence[str]) -> str:
    if isinstance(node, SequenceNode | MappingNode) and not node.flow_style:
        return json.dumps([member.value for member in node.value])
    first, last = node.start_mark, node.end_mark
    if first.line != last.line:
        return json.dumps(node.value)
    return lines[first.line][first.column : last.column]
