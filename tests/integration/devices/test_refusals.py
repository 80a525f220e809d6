"""What a device may not do to the gateway, frame by frame, and what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import websockets

from gateway.protocol.device_link import speculation as wire
from tests.integration.device import TOKEN, connected, opening
from tests.integration.devices.device_gateway import (
    PROMPT,
    digest,
    gateway_before,
    session_of,
    soon,
    tokenizer,
)
from tests.integration.speculating_engine import (
    MAX_MODEL_LEN,
    PER_STEP,
    VOCABULARY,
    SpeculatingEngine,
    answer_ids,
)
from tests.servers import Server

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

VIOLATIONS = [
    (wire.Draft(s=1, p=10_000, i=[1]), "position_ahead"),
    (wire.Draft(s=1, p=0, i=[VOCABULARY]), "id_beyond_vocabulary"),
    (wire.Draft(s=77, p=0, i=[1]), "unknown_session"),
    (wire.Cancel(77), "unknown_session"),
    (wire.Open(s=1, tier="cloud", tokenizer=tokenizer(), prompt=PROMPT), "session_exists"),
    (wire.Open(s=9, tier="cloud", tokenizer=tokenizer()), "bad_open"),
    (
        wire.Open(
            s=9, tier="cloud", tokenizer=tokenizer(), prompt=[1], messages=[{"content": "x"}]
        ),
        "bad_open",
    ),
    (wire.Hello(wire.VERSION), "bad_frame"),
    (b"\xc1 no msgpack", "bad_frame"),
    ("text", "bad_frame"),
]


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
        (offer,) = device.welcome.offers
        assert (offer.tier, offer.model) == ("cloud", "rill-cloud")
        assert (offer.tokenizer, offer.per_step, offer.through) == (tokenizer(), PER_STEP, ())
        assert offer.round_trip_s > 0, "how far the engine is behind the gateway"
        await device.put(wire.Ping(n=7, round_trip_s=0.02, bytes_per_s=1e6))
        pong = await device.expect(wire.Pong)
        assert (pong.n, [again.model for again in pong.offers]) == (7, ["rill-cloud"])
    assert gateway.metric("tierflow_device_round_trip_seconds_count") >= 1


@pytest.mark.parametrize(
    ("frame", "code"),
    [(wire.Hello(99), "version_unsupported"), (wire.Ping(n=1), "hello_expected")],
)
async def test_a_wrong_first_frame_ends_the_connection(
    gateway: Server, frame: wire.FromDevice, code: str
) -> None:
    async with connected(gateway.url, greet=False) as device:
        await device.put(frame)
        error = await device.expect(wire.Error)
        assert (error.code, error.fatal, error.s) == (code, True, None)
        assert await device.closed() == code


@pytest.mark.parametrize(
    ("violation", "code"), VIOLATIONS, ids=[f"{n}-{c}" for n, (_, c) in enumerate(VIOLATIONS)]
)
async def test_a_frame_that_lies_is_answered_counted_and_disturbs_nothing(
    gateway: Server, engine: SpeculatingEngine, violation: wire.FromDevice | bytes | str, code: str
) -> None:
    counted = gateway.metric("tierflow_device_frame_errors_total", code=code)
    engine.gate.clear()
    async with connected(gateway.url) as device:
        await device.put(opening(1, tokenizer(), PROMPT, 12))
        await device.expect(wire.Opened)
        await device.connection.send(
            violation if isinstance(violation, bytes | str) else wire.encode(violation)
        )
        assert (await device.expect(wire.Error)).code == code
        engine.gate.set()
        ids, _ = await device.answer(1)
    assert ids == answer_ids(PROMPT, 12)
    assert gateway.metric("tierflow_device_frame_errors_total", code=code) == counted + 1


async def test_messages_that_are_no_json_are_refused(gateway: Server) -> None:
    messages = [{"role": "user", "content": b"\x00"}]
    async with connected(gateway.url) as device:
        await device.put(wire.Open(s=1, tier="cloud", tokenizer=tokenizer(), messages=messages))
        error = await device.expect(wire.Error)
        assert (error.code, error.s, error.fatal) == ("bad_open", 1, True)


async def test_ids_beyond_the_vocabulary_are_refused_before_anything_is_opened(
    gateway: Server, engine: SpeculatingEngine
) -> None:
    async with connected(gateway.url) as device:
        opens: list[dict[str, Any]] = [
            {"prompt": [1, engine.vocabulary]},
            {"prompt": [1], "verified": [engine.vocabulary + 5]},
        ]
        for s, ids in enumerate(opens, 1):
            await device.put(wire.Open(s=s, tier="cloud", tokenizer=tokenizer(), **ids))
            error = await device.expect(wire.Error)
            assert (error.code, error.s, error.fatal) == ("bad_open", s, True)
            assert f"below {engine.vocabulary}" in error.message


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
        await watch.put(wire.Draft(s=1, p=0, i=[5]), wire.Cancel(1))
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
        await device.put(
            wire.Open(s=3, tier="cloud", tokenizer=tokenizer(), prompt=[1] * MAX_MODEL_LEN)
        )
        assert (await device.expect(wire.Error)).code == "prompt_too_long"


async def test_silence_beyond_the_lease_and_floods_end_in_time(tmp_path: Path) -> None:
    engine = SpeculatingEngine()
    engine.start()
    limits: dict[str, Any] = {
        "lease_s": 1.0,
        "heartbeat_s": 0.3,
        "max_sessions": 2,
        "drafts_per_s": 70,
    }
    try:
        with gateway_before(tmp_path, engine, **limits) as gateway:
            async with connected(gateway.url) as device:
                engine.gate.clear()
                for s in (1, 2, 3):
                    await device.put(opening(s, tokenizer(), PROMPT, 12))
                error = await device.until(wire.Error)
                assert (error.code, error.s, error.fatal) == ("too_many_sessions", 3, True)
                largest = wire.Draft(
                    s=1, p=0, i=[1] * 64, b=[], m=[wire.Run(0, [1] * 64)] * (wire.MAX_RUNS - 1)
                )
                await device.put(largest, largest)
                flood = await device.until(wire.Error)
                assert (flood.code, flood.s, flood.fatal) == ("flood", 1, False)
                assert await device.closed() == "lease_expired"
                await soon(lambda: engine.running == 0, "its work is given up")
    finally:
        engine.stop()


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
