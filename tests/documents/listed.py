"""The blocks that are neither run nor checked: outputs, diagrams and formulas."""

from __future__ import annotations

from collections.abc import Mapping

DIAGRAMS = ("mermaid",)
OUTPUT = "output of the program before it; compared where that is run"
COMPARED = "output; `make test-examples` compares it"
LISTED: Mapping[tuple[str, str], str] = {
    ("README.md", "starting edge, cloud, gateway"): COMPARED,
    ("docs/benchmarks.md", '{"best_member"'): COMPARED,
    ("docs/cascade.md", ": escalated confidence"): "a line of a stream",
    ("docs/containers.md", '{"answered":true'): "the last line of `make test-containers`",
    ("docs/contributing.md", "tierflow/       the one command"): "the tree of folders",
    ("docs/device-agent.md", '"tierflow": {"way"'): "a part of an answer",
    ("docs/device-members.md", "device     "): "a diagram of frames",
    ("docs/engine-simulator.md", "prefilled tokens / prefill"): "a formula",
    ("docs/kubernetes.md", "pool cloud: 2 pods share"): "a message of the chart",
    ("docs/collective.md", "mathematics 9 * 1000"): OUTPUT,
    ("docs/model-family.md", "tokens ─ embed"): "a diagram of layers",
    ("docs/own-models.md", "tierflow: TIERFLOW_CLOUD_MODEL"): "messages of `tierflow up`",
    ("docs/reliability.md", '{"ready":true'): COMPARED,
    ("docs/reliability.md", '"state-lost"'): COMPARED,
    ("docs/reliability.md", '{"streams": …'): COMPARED,
    ("docs/draft-rounds.md", "gateway ---"): "a diagram of one request",
    ("docs/speculation.md", "device ---"): "a diagram of connections",
    ("docs/speculation.md", "device   "): "a diagram of frames",
}
"""By page and beginning: why the block is not checked."""


def reason(page: str, language: str, text: str) -> str:
    if language in DIAGRAMS:
        return "a diagram"
    return next(
        (why for (where, begin), why in LISTED.items() if where == page and text.startswith(begin)),
        "",
    )
