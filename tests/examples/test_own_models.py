"""`make up` with models of one's own, from a stand-in of the hub and from folders. The models that
the pages name are played by tiny ones of the same architecture."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.documents.blocks import Example
from tests.examples import parts
from tests.examples.machine import Machine
from tests.examples.stack import up
from tests.hub import hub
from tests.unit.services.model_family.engine_environment import tiny_models

pytestmark = pytest.mark.integration
EXAMPLES = parts.played(parts.OWN_MODELS)
STARTS = [example for example in EXAMPLES if example.text.endswith("make up")]
DEVICES = [example for example in EXAMPLES if example not in STARTS]
ON_THE_HUB = {
    "Qwen/Qwen3-0.6B": "edge",
    "Qwen/Qwen3-8B": "cloud",
    "Qwen/Qwen3-32B": "cloud",
}
IN_FOLDERS = {"qwen3-8b": "edge", "qwen3-32b": "cloud"}
SMALL = {"TIERFLOW_KV_CACHE_GIB": "0.1"}


def tiny(tier: str) -> Path:
    return tiny_models() / "qwen3" / f"tiny-qwen3-{tier}"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("own-models")
    for name, tier in IN_FOLDERS.items():
        shutil.copytree(tiny(tier), folder / "models" / name)
    with hub({name: tiny(tier) for name, tier in ON_THE_HUB.items()}) as there:
        yield Machine(
            folder,
            {**SMALL, "HF_ENDPOINT": there.url, "HF_HOME": str(folder / "hub"), "NO_PROXY": "*"},
        )


def test_every_example_is_played() -> None:
    assert {example.page for example in STARTS} == {
        "README.md",
        "docs/local.md",
        "docs/own-models.md",
    }
    assert len(DEVICES) == 2


@pytest.mark.parametrize("example", STARTS, ids=str)
def test_the_models_that_are_named_answer(example: Example, machine: Machine) -> None:
    further: Sequence[Example] = DEVICES if example.page == "docs/own-models.md" else ()
    reader = machine.reader()
    # As small as the models are.
    reader.values["TIERFLOW_KV_CACHE_GIB=8"] = "TIERFLOW_KV_CACHE_GIB=0.1"
    with up(machine, reader, example.text):
        for tier in ("edge", "cloud"):
            named = re.search(rf"TIERFLOW_{tier.upper()}_MODEL=\S+/(\S+)", example.text)
            assert named
            assert model_of(reader.run(Example(example.page, chat(f"tierflow-{tier}")))) == named[1]
        for each in further:
            if "tierflow device" not in each.text:
                reader.run(each)
                continue
            with machine.terminal(reader) as terminal:
                terminal.begin(reader.filled_in(each.text))
                terminal.shows(lambda printed: "connected to the gateway" in printed, 60)


def chat(model: str) -> str:
    body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello"}]}
    address = "http://127.0.0.1:8080/v1/chat/completions"
    return f"curl {address} -H 'content-type: application/json' -d '{json.dumps(body)}'"


def model_of(printed: str) -> str:
    model: str = json.loads(printed)["model"]
    return model
