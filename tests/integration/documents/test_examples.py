"""What a reader copies out of README and docs/ works, against simulated and real engines, and
prints what the pages show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployment import Deployment, deploy, gateway_config, simulators
from tests.documents.blocks import Example, blocks, examples
from tests.documents.outcomes import outcomes
from tests.documents.outputs import shape_differences, unknown_fields
from tests.documents.reader import Reader
from tests.documents.runs import QUICK, run_by
from tests.engines import Engines
from tests.integration.agent import digest
from tests.integration.fleet import engine
from tests.integration.member import answers, member, vanishes
from tests.servers import Server, start_gateway

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
ADMIN = "operators-token-0001"
DEVICES = ("mathematics", "code", "reading")


def quick_examples() -> dict[str, list[Example]]:
    """By page, in the page's order; what ends something comes last."""
    pages: dict[str, list[Example]] = {}
    for example in examples():
        if run_by(example) == QUICK:
            pages.setdefault(example.page, []).append(example)
    return {
        page: sorted(found, key=lambda example: "-X DELETE" in example.text)
        for page, found in pages.items()
    }


RUN = quick_examples()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """With an operator, and devices that may come. Keys are made, and nobody needs one."""
    folder = tmp_path_factory.mktemp("examples")
    with ExitStack() as stack:
        edge, cloud = simulators(folder, stack)
        config = gateway_config(
            [edge],
            [cloud],
            admin={"token": ADMIN},
            keys={"file": str(folder / "keys.yaml"), "required": False},
            devices={"tokens": {name: digest(token_of(name)) for name in DEVICES}},
        )
        gateway = start_gateway(config, folder)
        stack.callback(gateway.stop)
        yield Deployment("simulator", edge, cloud, gateway)


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A simulator whose faults may be set."""
    server = engine("rill-edge", tmp_path_factory.mktemp("breakable"))
    yield server
    server.stop()


def token_of(device: str) -> str:
    return f"token-of-{device}-0001"


def reader(page: str, deployment: Deployment, folder: Path) -> Reader:
    """Who has what the pages say that a reader has: a token, a file, a variable."""
    url = deployment.gateway.url
    state = folder / ".local/state/tierflow/8080"
    state.mkdir(parents=True)
    (state / "admin.token").write_text(ADMIN)
    (state / "admin.token").chmod(0o600)
    (folder / "outcomes.jsonl").write_text("".join(outcomes()))
    return Reader(
        folder=folder,
        addresses={
            "http://127.0.0.1:8080": url,
            "http://localhost:8080": url,
            "http://GATEWAY:8080": url,
        },
        values={" NAME": " camera"} if page == "docs/device-members.md" else {},
        variables={"TIERFLOW_URL": url, "TIERFLOW_ADMIN_TOKEN": ADMIN},
    )


def test_examples_that_can_be_run_are_found() -> None:
    assert len(RUN) >= 12 and sum(map(len, RUN.values())) >= 28


@pytest.mark.parametrize("page", RUN)
async def test_a_pages_commands_work_and_print_what_it_shows(
    page: str, simulated: Deployment, breakable: Server, tmp_path: Path
) -> None:
    shell = reader(page, simulated, tmp_path)
    shell.addresses["localhost:8101"] = breakable.id
    async with AsyncExitStack() as stack:
        if page == "docs/collective.md":
            for name in DEVICES:
                behaviour = answers("Answer: ", "7")
                url = simulated.gateway.url
                await stack.enter_async_context(member(url, behaviour, token_of(name)))
        for example in RUN[page]:
            printed = await asyncio.to_thread(shell.run, example)
            if example.text.startswith(("curl", "from", "#")) and "-X DELETE" not in example.text:
                assert printed.strip()


def shown_json(page: str, field: str) -> Any:
    """The JSON block of the page with this field."""
    texts = [each.text for each in blocks() if each.page == page and each.language == "json"]
    return next(json.loads(text) for text in texts if f'"{field}"' in text)


def asked(gateway: Server, model: str, **tierflow: Any) -> Any:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Add 417 and 325 digit by digit."}],
        "max_tokens": 16,
        "tierflow": tierflow,
    }
    answer = httpx.post(gateway.url + "/v1/chat/completions", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def assert_as_shown(shown: Any, real: Any) -> None:
    assert shape_differences(shown, real) == []
    assert unknown_fields(shown, real) == []


def test_a_cascades_answer_has_the_fields_that_its_page_shows(simulated: Deployment) -> None:
    real = asked(simulated.gateway, "tierflow-cascade", cascade={"threshold": 1.0})
    assert_as_shown(shown_json("docs/cascade.md", "stages"), real["tierflow"]["cascade"])


async def test_a_collectives_answer_has_the_fields_that_its_page_shows(
    simulated: Deployment,
) -> None:
    url = simulated.gateway.url
    async with (
        member(url, answers("Answer: ", "7"), token_of("mathematics")),
        member(url, vanishes("Answer"), token_of("code")),
    ):
        real = await asyncio.to_thread(
            asked,
            simulated.gateway,
            "tierflow-collective",
            collective={"members": ["mathematics", "code"], "aggregate": "template"},
        )
    shown = shown_json("docs/collective.md", "decided_by")["tierflow"]
    assert_as_shown(shown, real["tierflow"])


FIRST = RUN["README.md"]


@pytest.mark.engine("edge", "cloud")
async def test_the_readmes_questions_are_answered_right(
    engines: Engines, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ExitStack() as stack:
        real = deploy("vllm", engines, tmp_path_factory.mktemp("real"), stack)
        shell = reader("README.md", real, tmp_path)
        curl, python = (shell.run(each) for each in FIRST)
    assert json.loads(curl)["choices"][0]["message"]["content"].endswith("742")
    assert python.strip().endswith("9")
