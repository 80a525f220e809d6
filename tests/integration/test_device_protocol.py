"""What a device may and may not do to the gateway, frame by frame.

The engine is one whose text is known, with a mailbox; the gateway is a real process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from gateway.protocol import speculation as wire
from gateway.protocol.tokenizer import PROBE, fingerprint
from tests.integration.device import TOKEN, connected, opening
from tests.integration.speculating_engine import (
    MAX_MODEL_LEN,
    PER_STEP,
    SECRET,
    VOCABULARY,
    SpeculatingEngine,
    answer_ids,
)
from tests.servers import Server, eventually, start_gateway, start_simulator

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
PROMPT = [11, 12, 13]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def tokenizer(shift: int = 0) -> str:
    return fingerprint([(ord(letter) + shift) % VOCABULARY for letter in PROBE])


@contextmanager
def gateway_before(folder: Path, *engines: SpeculatingEngine, **devices: Any) -> Iterator[Server]:
    tokens = {"phone": digest(TOKEN), "watch": digest("token-of-the-watch")}
    config = {
        "pools": {
            "cloud": {
                "tier": "cloud",
                "endpoints": [engine.url for engine in engines],
                "mailboxes": [engine.mailbox for engine in engines],
                "mailbox_secret": SECRET,
            }
        },
        "scrape": {"interval_s": 0.2},
        "retries": {"ratio": 1.0},
        "devices": {"tokens": tokens, **devices},
    }
    gateway = start_gateway(config, folder)
    try:
        eventually(lambda: not conditions(gateway), "the mailboxes are connected")
        yield gateway
    finally:
        gateway.stop()


def conditions(gateway: Server) -> Any:
    return httpx.get(gateway.url + "/ready").json()["conditions"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SpeculatingEngine, Server]]:
    engine = SpeculatingEngine()
    engine.start()
    with ExitStack() as stack:
        stack.callback(engine.stop)
        folder = tmp_path_factory.mktemp("devices")
        yield engine, stack.enter_context(gateway_before(folder, engine))


@pytest.fixture
def engine(shared: tuple[SpeculatingEngine, Server]) -> Iterator[SpeculatingEngine]:
    """As at the start, and idle before the next test."""
    engine = shared[0]
    yield engine
    engine.breaks_after = engine.refuses = None
    engine.gate.set()
    eventually(lambda: engine.running == 0, "no work is left behind")
    engine.bodies.clear()
    engine.aborted = 0


@pytest.fixture
def gateway(shared: tuple[SpeculatingEngine, Server], engine: SpeculatingEngine) -> Server:
    return shared[1]


async def soon(look: Any, what: str) -> Any:
    return await asyncio.to_thread(eventually, look, what)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", digest(TOKEN)])
async def test_a_device_without_its_token_is_refused_before_the_upgrade(
    gateway: Server, token: str
) -> None:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with connected(gateway.url, token):
            pass
    assert caught.value.response.status_code == 401
    body = json.loads(caught.value.response.body)
    assert body["error"]["code"] == "invalid_device_token"
    assert "handshake" not in gateway.output()


async def test_a_greeting_names_the_device_and_what_it_may_ask_for(gateway: Server) -> None:
    async with connected(gateway.url) as device:
        assert device.welcome.device == "phone"
        offer = wire.Offer("cloud", "rill-cloud", tokenizer(), PER_STEP)
        assert device.welcome.offers == [offer]
        await device.put(wire.Ping(7, 0.02, 1e6))
        assert await device.expect(wire.Pong) == wire.Pong(7, [offer])
    assert gateway.metric("tierflow_device_round_trip_seconds_count") >= 1


@pytest.mark.parametrize(
    ("frame", "code"),
    [(wire.Hello(99), "version_unsupported"), (wire.Ping(1), "hello_expected")],
)
async def test_a_wrong_first_frame_ends_the_connection(
    gateway: Server, frame: wire.FromDevice, code: str
) -> None:
    async with connected(gateway.url, greet=False) as device:
        await device.put(frame)
        error = await device.expect(wire.Error)
        assert (error.code, error.fatal, error.s) == (code, True, None)
        assert await device.closed() == code


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
        await device.put(wire.Open(1, "cloud", tokenizer(), messages=messages))
        assert (await device.expect(wire.Opened)).prompt == [97, 98, 99]
        await device.put(wire.Cancel(1))
        assert (await device.until(wire.Done)).reason == "cancelled"
    assert engine.bodies[0]["max_tokens"] == MAX_MODEL_LEN - 3


async def test_drafts_that_are_right_save_steps_and_are_counted(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    truth = answer_ids(PROMPT, 30)
    engine.gate.clear()
    async with connected(gateway.url) as device:
        # The first comes before the session is open, as a device may send it.
        await device.put(opening(1, tokenizer(), PROMPT, 30), wire.Draft(1, 0, truth[:16]))
        await device.expect(wire.Opened)
        await device.put(wire.Draft(1, 16, [*truth[16:20], 999], truth[12:16]))
        await soon(lambda: len(engine.drafts[session_of(engine)]) == 2, "both drafts are there")
        engine.gate.set()
        frames = []
        while not isinstance(frame := await device.get(), wire.Done):
            frames.append(frame)
    tokens = [frame for frame in frames if isinstance(frame, wire.Tokens)]
    assert [token for frame in tokens for token in frame.i] == truth
    assert [(frame.p, frame.d) for frame in tokens[:3]] == [(0, 8), (9, 7), (17, 3)]
    assert (frame.drafted, frame.accepted) == (21, 18)


def session_of(engine: SpeculatingEngine) -> str:
    return str(engine.bodies[-1]["vllm_xargs"]["draft_session"])


async def test_late_drafts_are_normal(gateway: Server, engine: SpeculatingEngine) -> None:
    async with connected(gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, 12))
        await device.answer(1)
        await device.put(wire.Draft(1, 2, [1, 2]), wire.Cancel(1), wire.Ping(1))
        # No error frame comes before the pong.
        assert (await device.expect(wire.Pong)).n == 1


LIES = [
    (wire.Draft(1, 10_000, [1]), "position_ahead"),
    (wire.Draft(1, 0, [VOCABULARY]), "id_beyond_vocabulary"),
    (wire.Draft(77, 0, [1]), "unknown_session"),
    (wire.Cancel(77), "unknown_session"),
    (wire.Open(1, "cloud", tokenizer(), prompt=PROMPT), "session_exists"),
    (wire.Open(9, "cloud", tokenizer()), "bad_open"),
    (wire.Open(9, "cloud", tokenizer(), [1], [{"content": "x"}]), "bad_open"),
    (wire.Hello(wire.VERSION), "bad_frame"),
    (b"\xc1 no msgpack", "bad_frame"),
    ("text", "bad_frame"),
]


@pytest.mark.parametrize(("lie", "code"), LIES, ids=[f"{n}-{c}" for n, (_, c) in enumerate(LIES)])
async def test_a_frame_that_lies_is_answered_counted_and_disturbs_nothing(
    gateway: Server, engine: SpeculatingEngine, lie: wire.FromDevice | bytes | str, code: str
) -> None:
    counted = gateway.metric("tierflow_device_frame_errors_total", code=code)
    engine.gate.clear()
    async with connected(gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, 12))
        await device.expect(wire.Opened)
        await device.connection.send(lie if isinstance(lie, bytes | str) else wire.encode(lie))
        assert (await device.expect(wire.Error)).code == code
        engine.gate.set()
        ids, _ = await device.answer(1)
    assert ids == answer_ids(PROMPT, 12)
    assert gateway.metric("tierflow_device_frame_errors_total", code=code) == counted + 1


async def test_messages_that_are_no_json_are_refused(gateway: Server) -> None:
    messages = [{"role": "user", "content": b"\x00"}]
    async with connected(gateway.url) as device:
        await device.put(wire.Open(1, "cloud", tokenizer(), messages=messages))
        error = await device.expect(wire.Error)
        assert (error.code, error.s, error.fatal) == ("bad_open", 1, True)


async def test_a_device_that_only_lies_is_sent_away(gateway: Server) -> None:
    async with connected(gateway.url) as device:
        for _ in range(150):
            await device.connection.send(b"\xc1")
        assert await device.closed() == "too_many_errors"


async def test_one_device_cannot_touch_the_session_of_another(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    engine.gate.clear()
    async with (
        connected(gateway.url) as phone,
        connected(gateway.url, "token-of-the-watch") as watch,
    ):
        await phone.put(opening(1, tokenizer(), PROMPT, 12))
        await phone.expect(wire.Opened)
        await watch.put(wire.Draft(1, 0, [5]), wire.Cancel(1))
        for _ in range(2):
            assert (await watch.expect(wire.Error)).code == "unknown_session"
        engine.gate.set()
        assert (await phone.answer(1))[0] == answer_ids(PROMPT, 12)
    assert not engine.drafts[session_of(engine)]


async def test_a_foreign_tokenizer_is_refused_with_both_fingerprints(gateway: Server) -> None:
    async with connected(gateway.url) as device:
        await device.put(opening(3, "0123456789abcdef", PROMPT, 5))
        error = await device.expect(wire.Error)
        assert (error.code, error.s, error.fatal) == ("tokenizer_differs", 3, True)
        assert "0123456789abcdef" in error.message and tokenizer() in error.message


async def test_a_tier_that_is_not_there_is_told(gateway: Server) -> None:
    async with connected(gateway.url) as device:
        await device.put(opening(3, tokenizer(), PROMPT, 5, tier="edge"))
        assert (await device.expect(wire.Error)).code == "no_endpoint"


async def test_the_engines_refusal_reaches_the_device(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    engine.refuses = 400
    async with connected(gateway.url) as device:
        await device.put(opening(3, tokenizer(), PROMPT, 5))
        error = await device.expect(wire.Error)
        assert (error.code, error.message) == ("engine_refused", "the engine's own words")


async def test_a_prompt_that_is_too_long_is_refused(gateway: Server) -> None:
    async with connected(gateway.url) as device:
        await device.put(wire.Open(3, "cloud", tokenizer(), prompt=[1] * MAX_MODEL_LEN))
        assert (await device.expect(wire.Error)).code == "prompt_too_long"


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
        assert ids == answer_ids(PROMPT, 4)
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


async def test_a_newer_connection_replaces_the_older(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    async with connected(gateway.url) as older:
        await older.put(opening(1, tokenizer(), PROMPT, 2000))
        await older.expect(wire.Opened)
        async with connected(gateway.url) as newer:
            error = await older.until(wire.Error)
            assert (error.code, error.fatal) == ("replaced", True)
            assert await older.closed() == "replaced"
            await soon(lambda: engine.running == 0, "the older one's work is given up")
            await newer.put(opening(1, tokenizer(), PROMPT, 6))
            assert (await newer.answer(1))[0] == answer_ids(PROMPT, 6)


async def test_many_sessions_on_one_connection_do_not_mix(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    prompts = {s: [s, 2 * s] for s in range(1, 21)}
    async with connected(gateway.url) as device:
        for s, prompt in prompts.items():
            draft = wire.Draft(s, 0, answer_ids(prompt, 10) if s % 2 else [3] * 10)
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
    assert engine.url.removeprefix("http://") in lost
    async with connected(gateway.url) as device:
        assert device.welcome.offers[0].per_step == 0
        await device.put(opening(1, tokenizer(), PROMPT, 12), wire.Draft(1, 0, [1, 2]))
        ids, done = await device.answer(1)
        assert (ids, done.drafted) == (answer_ids(PROMPT, 12), 0)
    engine.open_mailbox()
    await soon(lambda: not conditions(gateway), "it is connected again")
    assert gateway.metric("tierflow_speculation_draft_tokens_total", fate="dropped") >= 2
    assert gateway.metric("tierflow_mailbox_connected") == 1


async def test_prompts_ids_and_tokens_stay_out_of_the_log(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    messages = [{"role": "user", "content": "zwitscherkanarienvogel"}]
    sampling = wire.Sampling(max_tokens=5)
    async with connected(gateway.url) as device:
        await device.put(wire.Open(1, "cloud", tokenizer(), [], messages, sampling))
        await device.answer(1)
    lines = [json.loads(line) for line in gateway.output().splitlines()]
    line = next(line for line in reversed(lines) if line["event"] == "session")
    assert (line["device"], line["outcome"], line["completion_tokens"]) == ("phone", "ok", 5)
    assert not any(isinstance(value, list) for value in line.values())
    for secret in ("zwitscherkanarienvogel", TOKEN, digest(TOKEN), SECRET):
        assert secret not in gateway.output()


async def test_silence_beyond_the_lease_and_floods_end_in_time(tmp_path: Path) -> None:
    engine = SpeculatingEngine()
    engine.start()
    limits = {"lease_s": 1.0, "heartbeat_s": 0.3, "max_sessions": 2, "drafts_per_s": 70}
    try:
        with gateway_before(tmp_path, engine, **limits) as gateway:
            async with connected(gateway.url) as device:
                engine.gate.clear()
                for s in (1, 2, 3):
                    await device.put(opening(s, tokenizer(), PROMPT, 12))
                error = await device.until(wire.Error)
                assert (error.code, error.s, error.fatal) == ("too_many_sessions", 3, True)
                await device.put(wire.Draft(1, 0, [1] * 64), wire.Draft(1, 64, [1] * 64))
                flood = await device.until(wire.Error)
                assert (flood.code, flood.s, flood.fatal) == ("flood", 1, False)
                assert await device.closed() == "lease_expired"
                await soon(lambda: engine.running == 0, "its work is given up")
    finally:
        engine.stop()


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
                wire.Open(1, "edge", offer.tokenizer, prompt=PROMPT, sampling=sampling),
                wire.Draft(1, 0, [1, 2, 3]),
            )
            ids, done = await device.answer(1)
    assert ids == whole["choices"][0]["token_ids"]
    assert (done.reason, done.drafted) == ("length", 0)
