"""Every example of the documents is right to its last word, and what breaks one is seen."""

from __future__ import annotations

import pytest

from tests.documents.blocks import (
    CHECKOUT,
    Block,
    BrokenExample,
    Example,
    blocks,
    blocks_of,
    examples_in_sentences,
)
from tests.documents.checks import check, check_example
from tests.documents.listed import LISTED

pytestmark = pytest.mark.helm
BLOCKS = list(blocks())
MISTAKES = [
    ("README.md", "helm install tierflow charts/tierflow", "helm instal tierflow charts/tierflow"),
    ("README.md", "install tierflow charts/tierflow", "install tierflow charts/tierflo"),
    ("README.md", "ARGS=--plain", "ARGS=--plian"),
    ("README.md", "family:", "famly:"),
    ("README.md", "make device", "make devcie"),
    ("README.md", "TIERFLOW_EDGE_MODEL", "TIERFLOW_EDGE_MODLE"),
    ("docs/benchmarks.md", "--listen", "--lissten"),
    ("docs/cascade.md", '"stream_mode"', '"stream_mod"'),
    ("docs/cascade.md", "calibrate measure --stream-mode live", "calibrate measure --live"),
    ("docs/collective.md", '"max_members": 3', '"max_member": 3'),
    ("docs/collective.md", 'aggregate="template"', 'aggregate="tmplate"'),
    ("docs/collective.md", "extra_body={", "extras={"),
    ("docs/collective.md", '"decided_by"', '"decided_by": "template", "decidedby"'),
    ("docs/collective.md", "form: quotes", "form: quots"),
    ("docs/containers.md", "IMAGES=device-jetson", "IMAGES=device-jetsn"),
    ("docs/containers.md", "IMAGE_ARGS=", "IMAGES_ARGS="),
    ("docs/containers.md", "device redis prometheus", "device redsi prometheus"),
    ("docs/containers.md", "--profile gpu", "--profile gpus"),
    ("docs/containers.md", "tierflow/vllm-cpu:0.1.0", "tierflow/vllm-cpu:0.9.0"),
    ("docs/containers.md", "--tmpfs", "--tmpfss"),
    ("docs/device-agent.md", ".[device]", ".[devcie]"),
    ("docs/device-agent.md", "--drafter llama", "--drafter lama"),
    ("docs/device-agent.md", '"domains": ["mathematics"]', '"domains": "mathematics"'),
    ("docs/device-members.md", "[--owner OWNER]", "[--ownr OWNER]"),
    ("docs/engine-simulator.md", "--max-num-seqs", "--max-num-seqz"),
    ("docs/engine-simulator.md", '"hang_after_tokens"', '"hangs_after_tokens"'),
    ("docs/gateway.md", "idle_s", "idle_seconds"),
    ("docs/gateway.md", "endpointslices", "endpoints"),
    ("docs/keys.md", "requests_per_min", "requests_per_minute"),
    ("docs/keys.md", "--grace-s", "--grace"),
    ("docs/kubernetes.md", "model-pool.gpu.count", "model-pool.gpus.count"),
    ("docs/kubernetes.md", "-f deploy/kind/values.yaml", "-f deploy/kind/value.yaml"),
    ("docs/kubernetes.md", "svc/tierflow-gateway", "svc/gateway"),
    ("docs/kubernetes.md", "{.data.key}", "{.data.token}"),
    ("docs/kubernetes.md", "hub-token --from-literal=token", "hub-token --from-literal=tokn"),
    ("docs/kubernetes.md", "minReplicas: 0", "minReplica: 0"),
    ("docs/kubernetes.md", "--version 0.2.0", "--version 0.3.0"),
    ("docs/local.md", "TIERFLOW_KV_CACHE_GIB=8", "TIERFLOW_KV_CACHE_GB=8"),
    ("docs/model-family.md", "evaluate-first --write-card", "evaluate-frist --write-cards"),
    ("docs/preflight.md", "deploy/kind", "deploy/knid"),
    ("docs/reliability.md", "make chaos ENGINE=vllm", "make chaos ENGINE=vlm"),
    ("docs/reliability.md", "make soak SECONDS=600", "make soak MINUTES=10"),
    ("docs/reliability.md", "-m gateway --config", "-m gateway --confg"),
    ("docs/resumable-streams.md", "/v1/streams/3f0c9a", "/v1/stream/3f0c9a"),
    ("docs/speculation.md", "The quick brown fox", "The quick red fox"),
    ("docs/state.md", "when_lost: open", "when_lost: opened"),
]
"""A page, what it says in an example, and the mistake in its place."""


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_an_example_is_right(block: Block) -> None:
    check(block)


@pytest.mark.parametrize("example", examples_in_sentences(), ids=str)
def test_a_command_in_a_sentence_is_right(example: Example) -> None:
    check_example(example)


def test_each_listed_block_is_on_its_page() -> None:
    unlisted = [
        listed
        for listed in LISTED
        if not any(each.page == listed[0] and each.text.startswith(listed[1]) for each in BLOCKS)
    ]
    assert unlisted == []


@pytest.mark.parametrize("page, right, wrong", MISTAKES)
def test_a_mistake_in_an_example_is_seen(page: str, right: str, wrong: str) -> None:
    assert_seen(page, right, wrong)


@pytest.mark.parametrize("wrong", ["tierflo up", "brew install tierflow"])
def test_a_program_that_nobody_checks_is_no_example(wrong: str) -> None:
    assert_seen("README.md", "make up", wrong)


def assert_seen(page: str, right: str, wrong: str) -> None:
    text = (CHECKOUT / page).read_text()
    changed = [
        broken
        for whole, broken in zip(
            blocks_of(page, text), blocks_of(page, text.replace(right, wrong)), strict=True
        )
        if whole.text != broken.text and not broken.reason
    ]
    assert changed, f"no example has {right}"
    for each in changed:
        with pytest.raises(BrokenExample):
            check(each)
