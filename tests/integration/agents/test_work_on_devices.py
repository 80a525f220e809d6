"""Real agents with the shipped model, registered at the real gateway: their work and refusals."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.devices.member import MemberFailed, WorkOrder
from services.device_agent.__main__ import main
from services.device_agent.text import TextModel
from tests.integration.agent import MODEL, link
from tests.integration.agents.gateway import ADMIN, RealGateway, real_gateway, soon
from tests.integration.device import TOKEN
from tests.servers import Server, start

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
QUESTION = "Add 417 and 325 digit by digit."
MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[RealGateway]:
    async with real_gateway(tmp_path) as made:
        yield made


def order(tokens: int = 200, deadline_s: float = 120.0, **more: Any) -> WorkOrder:
    fields: dict[str, Any] = {"kind": "generate", "messages": MESSAGES, **more}
    return WorkOrder(max_tokens=tokens, deadline_s=deadline_s, **fields)


LONG = order(1900, sampling={"ignore_eos": True})


async def ready(agent: Server) -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(agent.url + "/ready")).json()


async def ask(agent: Server, **more: Any) -> Any:
    body = {"model": "tierflow-on-device", "messages": MESSAGES, "max_tokens": 200, **more}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return (await client.post(agent.url + "/v1/chat/completions", json=body)).json()


async def figure(agent: Server, name: str, **labels: str) -> float:
    return await asyncio.to_thread(agent.metric, f"tierflow_device_{name}", **labels)


async def failure(here: RealGateway, wanted: WorkOrder, device: str = "phone") -> str:
    with pytest.raises(MemberFailed) as failed:
        await here.answer(wanted, device)
    return failed.value.code or ""


async def test_a_device_registers_as_what_it_is(here: RealGateway) -> None:
    agent = await here.agent(
        "--describe", "Adds numbers.", "--tags", "sums,shop", "--max-work", "3"
    )
    member = await here.registered()
    assert member.description == "Adds numbers." and set(member.tags) == {"sums", "shop"}
    assert (member.max_work, member.privacy) == (3, "public")
    assert member.abilities == {"generate", "revise"}
    (model,) = member.models
    assert (model.name, model.family) == ("rill-device", "rill")
    assert model.tokenizer == TextModel(MODEL).fingerprint and model.parameters > 700_000
    assert (await ready(agent))["member"] == {"registered": "phone", "max_work": 3, "working": 0}
    assert await figure(agent, "member") == 1


@pytest.mark.parametrize("kind", ["generate", "revise"])
async def test_the_text_is_what_the_device_answers_itself(here: RealGateway, kind: str) -> None:
    agent = await here.agent()
    await here.registered()
    whole = await ask(agent)
    answer = await here.answer(order(kind=kind))
    (choice,) = whole["choices"]
    assert answer.text == choice["message"]["content"] != ""
    assert answer.end is not None
    assert answer.end.reason == choice["finish_reason"]
    usage = whole["usage"]
    assert answer.end.prompt_tokens == usage["prompt_tokens"]
    assert answer.end.completion_tokens == usage["completion_tokens"]
    assert answer.end.logprob is not None and -2 < answer.end.logprob < 0
    assert await figure(agent, "member_work_total", kind=kind, outcome="stop") == 1
    assert await figure(agent, "member_tokens_total") == usage["completion_tokens"]


async def test_several_answers_at_once_do_not_mix(here: RealGateway) -> None:
    agent = await here.agent("--max-work", "4")
    await here.registered()
    asked = [[{"role": "user", "content": f"What is {n} + {n}?"}] for n in range(11, 15)]
    wholes = [await ask(agent, messages=messages) for messages in asked]
    answers = await asyncio.gather(*(here.answer(order(messages=each)) for each in asked))
    texts = [whole["choices"][0]["message"]["content"] for whole in wholes]
    assert [answer.text for answer in answers] == texts


async def test_work_under_way_ends_at_a_gateway_that_is_about_to_stop(here: RealGateway) -> None:
    agent = await here.agent()
    await here.registered()
    whole = asyncio.create_task(here.answer(LONG))
    await soon(lambda: here.condition().working, "it works")
    here.devices.leave()
    await soon(lambda: here.member() is None, "it gets no more work")
    answer = await whole
    assert answer.end is not None and answer.end.completion_tokens == 1900
    await soon(lambda: here.devices.connections.busy == 0, "nothing is under way")
    told = (await ready(agent))["conditions"]["link-lost"]
    assert "503" in told and "about to stop" in told, "there is no other gateway"


async def test_its_own_user_is_answered_as_ever_while_it_works(here: RealGateway) -> None:
    agent = await here.agent("--max-work", "4")
    await here.registered()
    alone = await ask(agent)
    works = [asyncio.create_task(here.answer(LONG)) for _ in range(3)]
    await soon(lambda: here.condition().working == 3, "it works")
    busy = await ask(agent)
    assert busy["choices"] == alone["choices"] and busy["usage"] == alone["usage"]
    for answer in await asyncio.gather(*works):
        assert answer.end is not None and answer.end.completion_tokens == 1900


async def test_work_that_nobody_wants_any_more_is_given_up(here: RealGateway) -> None:
    agent = await here.agent()
    await here.registered()
    assignment = here.devices.members.assign("phone", LONG)
    await assignment.read()
    assignment.cancel()
    for _ in range(500):
        if await figure(agent, "member_work_total", outcome="recalled"):
            break
        await asyncio.sleep(0.01)
    assert await figure(agent, "member_work_total", outcome="recalled") == 1
    assert await figure(agent, "member_active_work") == 0
    assert (await here.answer(order())).text


async def test_a_device_that_has_enough_to_do_says_so(here: RealGateway) -> None:
    await here.agent("--max-work", "1")
    await here.registered()
    assignment = here.devices.members.assign("phone", LONG)
    await assignment.read()
    assert await failure(here, order()) == "busy"
    assignment.cancel()


async def test_a_question_beyond_its_context_is_refused(here: RealGateway) -> None:
    await here.agent()
    await here.registered()
    long = [{"role": "user", "content": "long " * 3000}]
    assert await failure(here, order(messages=long)) == "too_long"


async def test_heat_and_an_empty_battery_are_told_and_refuse_work(
    here: RealGateway, tmp_path: Path
) -> None:
    zone, battery = tmp_path / "thermal/thermal_zone0", tmp_path / "power_supply/BAT0"
    for folder, files in (
        (zone, {"type": "tj-thermal", "temp": "95000"}),
        (battery, {"type": "Battery", "status": "Discharging", "capacity": "20"}),
    ):
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text + "\n")
    await here.agent("--sysfs", str(tmp_path), "--hot-celsius", "80")
    member = await here.registered()
    assert (member.condition.hot, member.condition.battery) == (True, 0.2)
    assert await failure(here, order()) == "hot"
    (zone / "temp").write_text("50000\n")
    await soon(lambda: not here.condition().hot, "it has told that it is cool")
    assert await failure(here, order()) == "battery"
    (battery / "status").write_text("Charging\n")
    await soon(lambda: here.condition().battery is None, "and that it is charged")
    assert (await here.answer(order())).text


async def test_a_second_process_with_the_token_hurts_nobody(here: RealGateway) -> None:
    first = await here.agent()
    instance = (await here.registered()).instance
    second = await here.agent()

    for _ in range(1000):
        if "another process" in str((await ready(second))["member"]["reason"]):
            break
        await asyncio.sleep(0.01)
    assert "another process" in (await ready(second))["member"]["reason"]
    assert (await ready(first))["member"]["registered"] == "phone"
    assert (await here.registered()).instance == instance
    assert (await here.answer(order())).text
    assert (await ask(second))["choices"][0]["message"]["content"], "its own user is answered"
    assert "Traceback" not in second.output()


async def test_a_device_that_only_drafts_is_no_member(here: RealGateway) -> None:
    agent = await here.agent("--no-member")
    await soon(lambda: "connected to the gateway as phone" in agent.output(), "it is connected")
    assert (await ready(agent))["member"]["reason"].startswith("--no-member")
    assert await failure(here, order()) == "unknown"


async def test_a_member_needs_no_api_of_its_own(here: RealGateway) -> None:
    (here.folder / "token").write_text(TOKEN)
    command = [sys.executable, "-m", "services.device_agent", "--no-api", "--gateway", here.url]
    command += ["--model", str(MODEL), "--token-file", str(here.folder / "token")]
    agent = start("member", command, here.folder, "")
    try:
        await here.registered()
        assert (await here.answer(order())).text
    finally:
        await asyncio.to_thread(agent.stop)
    assert agent.process.returncode == 0
    await soon(lambda: here.member() is None, "it is gone")


async def test_after_a_cut_it_registers_again_and_the_work_was_lost(here: RealGateway) -> None:
    with link(here.url, here.folder) as (address, control):
        direct, here.url = here.url, address
        agent = await here.agent()
        here.url = direct
        instance = (await here.registered()).instance
        assignment = here.devices.members.assign("phone", LONG)
        await assignment.read()
        await asyncio.to_thread(control.ask, cut_s=0.2)
        with pytest.raises(MemberFailed) as failed:
            while True:
                await assignment.read()
        assert failed.value.code == "lost"
        await soon(lambda: agent.output().count("registered as phone") == 2, "it is back")
        assert (await here.registered()).instance == instance
        assert (await here.answer(order())).text
        assert await figure(agent, "member_active_work") == 0


async def test_nothing_that_was_asked_is_in_its_log(here: RealGateway) -> None:
    agent = await here.agent()
    await here.registered()
    answer = await here.answer(order())
    assert QUESTION not in agent.output() and answer.text not in agent.output()
    assert "registered as phone" in agent.output()


async def test_its_log_tells_start_model_gateway_address_and_stop_each_with_its_time(
    here: RealGateway,
) -> None:
    agent = await here.agent()
    await here.registered()
    await asyncio.to_thread(agent.stop)
    lines = agent.output().splitlines()
    begins = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARNING) ")
    assert all(begins.match(line) for line in lines)
    told = [line.partition(" INFO ")[2] for line in lines]
    starts = rf"starts with rill-device, \d+ tokens of context; gateway: {here.url}"
    assert re.fullmatch(starts, told[0])
    assert f"serving at {agent.url}" in told
    assert f"connected to the gateway as phone, at {here.url}" in told
    assert told[-1] == "stopped"
    assert agent.process.returncode == 0


async def test_a_device_enrols_itself_works_and_is_shut_out_when_it_is_revoked(
    here: RealGateway,
) -> None:
    operator = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(base_url=here.url, headers=operator, trust_env=False) as client:
        wish = {"name": "jetson", "owner": "anna"}
        minted = (await client.post("/v1/admin/enrolments", json=wish)).json()
        one_time, file = here.folder / "enrolment", here.folder / "state" / "device.token"
        one_time.write_text(minted["enrolment_token"])
        agent = await here.agent(
            "--token-file", str(file), "--enrolment-token-file", str(one_time), "--owner", "anna"
        )
        member = await here.registered("jetson")
        assert member.owner == "anna" and file.stat().st_mode & 0o777 == 0o600
        assert (await here.answer(order(), "jetson")).text
        assert minted["enrolment_token"] not in agent.output()
        assert file.read_text().strip() not in agent.output()
        assert (await client.delete("/v1/devices/jetson")).status_code == 200
        await soon(lambda: here.member("jetson") is None, "it is gone")
        await soon(lambda: "has been revoked" in agent.output(), "it says why")


async def test_an_enrolment_token_is_good_for_one_device_only(
    here: RealGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(base_url=here.url, headers=operator, trust_env=False) as client:
        minted = (await client.post("/v1/admin/enrolments", json={"name": "jetson"})).json()
    monkeypatch.setenv("TIERFLOW_ENROLMENT_TOKEN", minted["enrolment_token"])
    codes = []
    for name in ("one", "two"):
        flags = ["enrol", "--gateway", here.url, "--token-file", str(here.folder / name)]
        codes.append(await asyncio.to_thread(main, flags))
    assert codes == [0, 1]
    said = capsys.readouterr()
    assert "enrolled as jetson; its token is in " in said.out
    assert said.err.startswith("device_agent: error: the gateway does not enrol this device: ")
    assert said.err.count("\n") == 1 and minted["enrolment_token"] not in said.err


async def test_another_owner_than_the_recorded_one_is_told_and_hurts_nothing(
    here: RealGateway,
) -> None:
    operator = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(base_url=here.url, headers=operator, trust_env=False) as client:
        wish = {"name": "jetson", "owner": "anna"}
        minted = (await client.post("/v1/admin/enrolments", json=wish)).json()
        body = {"enrolment_token": minted["enrolment_token"]}
        token = (await client.post("/v1/devices/enrol", json=body)).json()["device_token"]
    agent = await here.agent("--owner", "bert", token=token)

    async def connected_again() -> bool:
        return agent.output().count("connected to the gateway as jetson") >= 2

    for _ in range(2000):
        if await connected_again() and await figure(agent, "link_up"):
            break
        await asyncio.sleep(0.01)
    assert await figure(agent, "link_up") == 1, "it may draft"
    assert (await ready(agent))["member"]["reason"].startswith("owner: ")
    assert agent.output().count("not registered: owner: ") == 1
    assert here.member("jetson") is None
