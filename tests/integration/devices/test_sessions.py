"""Answers for which a device drafts, frame by frame, and how they end."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.protocol.device_link import speculation as wire
from tests.integration.device import TOKEN, connected, opening
from tests.integration.devices.device_gateway import (
    PROMPT,
    conditions,
    digest,
    gateway_before,
    session_of,
    soon,
    tokenizer,
)
from tests.integration.speculating_engine import (
    PER_STEP,
    SECRET,
    SpeculatingEngine,
    answer_ids,
)
from tests.servers import Server, start_gateway, start_simulator

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


async def test_an_answer_without_drafts_is_the_engines(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    async with connected(gateway.url) as device:
        await device.put(opening(5, tokenizer(), PROMPT, 20))
        opened = await device.expect(wire.Opened)
        assert (opened.s, opened.model, opened.per_step) == (5, "rill-cloud", PER_STEP)
        ids, done = await device.answer(5)
        assert ids == answer_ids(PROMPT, 20)
        assert (done.reason, done.prompt_tokens, done.completion_tokens) == ("length", 3, 20)
        assert (done.drafted, done.accepted) == (0, 0)


async def test_messages_become_ids_at_the_engine(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    messages = [{"role": "user", "content": "abc"}]
    async with connected(gateway.url) as device:
        await device.put(wire.Open(s=1, tier="cloud", tokenizer=tokenizer(), messages=messages))
        assert (await device.expect(wire.Opened)).prompt == [97, 98, 99]
        ids = (await device.expect(wire.Tokens)).i
        assert ids == answer_ids([97, 98, 99], len(ids))
        await device.put(wire.Cancel(1))
        assert (await device.until(wire.Done)).reason == "cancelled"
    (asked,) = engine.bodies
    assert asked["messages"] == messages, "the engine makes the prompt, which saves a round trip"


async def test_drafts_that_are_right_save_steps_and_are_counted(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    truth = answer_ids(PROMPT, 30)
    engine.gate.clear()
    async with connected(gateway.url) as device:
        # The first comes before the session is open, as a device may send it.
        await device.put(opening(1, tokenizer(), PROMPT, 30), wire.Draft(s=1, p=0, i=truth[:16]))
        await device.expect(wire.Opened)
        await device.put(wire.Draft(s=1, p=16, i=[*truth[16:20], 999], b=truth[12:16]))
        await soon(lambda: len(engine.drafts[session_of(engine)]) == 2, "both drafts are there")
        engine.gate.set()
        frames = []
        while not isinstance(frame := await device.get(), wire.Done):
            frames.append(frame)
    tokens = [frame for frame in frames if isinstance(frame, wire.Tokens)]
    assert [token for frame in tokens for token in frame.i] == truth
    assert [(frame.p, frame.d) for frame in tokens[:3]] == [(0, 8), (9, 7), (17, 3)]
    assert (frame.drafted, frame.accepted) == (21, 18)


async def test_late_drafts_are_normal(gateway: Server, engine: SpeculatingEngine) -> None:
    async with connected(gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, 12))
        await device.answer(1)
        await device.put(wire.Draft(s=1, p=2, i=[1, 2]), wire.Cancel(1), wire.Ping(n=1))
        # No error frame comes before the pong.
        assert (await device.expect(wire.Pong)).n == 1


async def test_an_engine_that_breaks_ends_the_session_with_what_was_verified(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    engine.breaks_after = 4
    async with connected(gateway.url) as device:
        await device.put(opening(3, tokenizer(), PROMPT, 20))
        await device.expect(wire.Opened)
        ids: list[int] = []
        while isinstance(frame := await device.get(), wire.Tokens):
            ids += frame.i
        assert isinstance(frame, wire.Error)
        assert (frame.code, frame.s, frame.fatal) == ("engine_disconnected", 3, True)
        assert 4 <= len(ids) < 20, "it was asked to go on itself, within the bound of attempts"
        assert ids == answer_ids(PROMPT, len(ids))
        engine.breaks_after = None
        await device.put(opening(4, tokenizer(), PROMPT, 6))
        assert (await device.answer(4))[0] == answer_ids(PROMPT, 6)


async def test_cancelling_and_leaving_both_make_the_engine_stop(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    async with connected(gateway.url) as device:
        for s in (1, 2, 3):
            await device.put(opening(s, tokenizer(), PROMPT, 2000))
        await soon(lambda: engine.running == 3, "three answers are made")
        await device.put(wire.Cancel(2))
        done = await device.until(wire.Done)
        assert (done.s, done.reason) == (2, "cancelled")
        await soon(lambda: engine.running == 2, "one is given up")
    await soon(lambda: engine.running == 0, "all are given up")
    assert engine.aborted == 3
    await soon(lambda: gateway.metric("tierflow_in_flight_requests") == 0, "nothing is inside")
    await soon(lambda: gateway.metric("tierflow_devices_connected") == 0, "no device is left")
    assert gateway.metric("tierflow_speculation_active_sessions") == 0


async def test_a_session_cancelled_with_its_opening_still_ends(gateway: Server) -> None:
    async with connected(gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, 2000), wire.Cancel(1))
        assert (await device.until(wire.Done)).reason == "cancelled"


async def test_many_sessions_on_one_connection_do_not_mix(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    prompts = {s: [s, 2 * s] for s in range(1, 21)}
    async with connected(gateway.url) as device:
        for s, prompt in prompts.items():
            draft = wire.Draft(s=s, p=0, i=answer_ids(prompt, 10) if s % 2 else [3] * 10)
            await device.put(opening(s, tokenizer(), prompt, 40), draft)
        answers: dict[int, list[int]] = {s: [] for s in prompts}
        left = set(prompts)
        while left:
            frame = await device.get()
            if isinstance(frame, wire.Tokens):
                answers[frame.s] += frame.i
            elif isinstance(frame, wire.Done):
                left.discard(frame.s)
    assert answers == {s: answer_ids(prompt, 40) for s, prompt in prompts.items()}


async def test_a_lost_mailbox_costs_drafts_only_and_comes_back(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    engine.close_mailbox()
    lost = await soon(lambda: conditions(gateway).get("mailbox-lost"), "the loss is told")
    assert f"{engine.mailbox} of {engine.url.removeprefix('http://')}" in lost
    async with connected(gateway.url) as device:
        assert device.welcome.offers[0].per_step == 0
        await device.put(opening(1, tokenizer(), PROMPT, 12), wire.Draft(s=1, p=0, i=[1, 2]))
        ids, done = await device.answer(1)
        assert (ids, done.drafted) == (answer_ids(PROMPT, 12), 0)
    engine.open_mailbox()
    await soon(lambda: not conditions(gateway), "it is connected again")
    assert gateway.metric("tierflow_speculation_draft_tokens_total", fate="dropped") >= 2
    assert gateway.metric("tierflow_mailbox_connected") == 1
    for event in ("mailbox_lost", "mailbox_up"):
        told = partial(gateway.logged, event=event, mailbox=engine.mailbox)
        assert await soon(told, f"{event} is logged")


async def test_prompts_ids_and_tokens_stay_out_of_the_log(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    prompt = "zwitscherkanarienvogel"
    messages = [{"role": "user", "content": prompt}]
    sampling = wire.Sampling(max_tokens=5)
    async with connected(gateway.url) as device:
        await device.put(
            wire.Open(
                s=1,
                tier="cloud",
                tokenizer=tokenizer(),
                prompt=[],
                messages=messages,
                sampling=sampling,
            )
        )
        await device.answer(1)

    logged = partial(gateway.logged, event="session", prompt_tokens=len(prompt))
    (line,) = await soon(logged, "the session is logged")
    assert (line["device"], line["outcome"], line["completion_tokens"]) == ("phone", "ok", 5)
    assert not any(isinstance(value, list) for value in line.values())
    for secret in (prompt, TOKEN, digest(TOKEN), SECRET):
        assert secret not in gateway.output()


async def test_an_engine_that_fails_before_the_first_token_is_left_for_another(
    tmp_path: Path,
) -> None:
    engines = SpeculatingEngine(), SpeculatingEngine()
    with ExitStack() as stack:
        for one in engines:
            one.start()
            stack.callback(one.stop)
        engines[0].refuses = 503
        gateway = stack.enter_context(gateway_before(tmp_path, *engines))
        async with connected(gateway.url) as device:
            # Which endpoint a prompt goes to first depends on its words: 20 don't all go to one.
            for s in range(20):
                prompt = [s, 7 * s + 1]
                await device.put(opening(s, tokenizer(), prompt, 6))
                assert (await device.answer(s))[0] == answer_ids(prompt, 6)
        assert engines[0].bodies, "the failing one was tried"


async def test_an_engine_without_a_mailbox_answers_and_takes_no_drafts(tmp_path: Path) -> None:
    with ExitStack() as stack:
        simulator = start_simulator("rill-edge", tmp_path, "--max-model-len", "1024")
        stack.callback(simulator.stop)
        config = {
            "pools": {"edge": {"tier": "edge", "endpoints": [simulator.url]}},
            "devices": {"tokens": {"phone": digest(TOKEN)}},
        }
        gateway = start_gateway(config, tmp_path)
        stack.callback(gateway.stop)
        asked = {"model": "rill-edge", "prompt": PROMPT, "max_tokens": 12, "ignore_eos": True}
        body = {**asked, "temperature": 0, "return_token_ids": True}
        whole = httpx.post(simulator.url + "/v1/completions", json=body).json()
        async with connected(gateway.url) as device:
            (offer,) = device.welcome.offers
            assert offer.per_step == 0
            sampling = wire.Sampling(temperature=0, max_tokens=12, ignore_eos=True)
            await device.put(
                wire.Open(
                    s=1, tier="edge", tokenizer=offer.tokenizer, prompt=PROMPT, sampling=sampling
                ),
                wire.Draft(s=1, p=0, i=[1, 2, 3]),
            )
            ids, done = await device.answer(1)
    assert ids == whole["choices"][0]["token_ids"]
    assert (done.reason, done.drafted) == ("length", 0)
