"""Drafts at an engine without a mailbox: they are checked in rounds where those are faster, and
whatever becomes of the rounds, the answer is the engine's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from gateway.protocol.device_link import speculation as wire
from tests.integration.device import Device, connected
from tests.integration.devices.device_gateway import (
    PROMPT,
    conditions,
    gateway_before,
    soon,
    tokenizer,
)
from tests.integration.speculating_engine import VOCABULARY, SpeculatingEngine, answer_ids
from tests.servers import Server, eventually

pytestmark = [pytest.mark.integration, pytest.mark.anyio]
LENGTH = 200
TRUTH = answer_ids(PROMPT, LENGTH)
MOST_DRAFTS = 8
"""Of a round, by default."""
STEP_S = 0.02
"""Of the engine, for a token of a stream and for a round alike."""

Both = tuple[SpeculatingEngine, Server]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    engine = SpeculatingEngine(step_s=STEP_S)
    engine.start()
    with ExitStack() as stack:
        stack.callback(engine.stop)
        folder = tmp_path_factory.mktemp("rounds")
        yield engine, stack.enter_context(gateway_before(folder, engine, in_rounds=True))


@pytest.fixture
def both(shared: Both) -> Iterator[Both]:
    engine = shared[0]
    engine.rounds = 0
    yield shared
    engine.refuses_rounds = engine.breaks_in_round = False
    eventually(lambda: engine.running == 0, "no work is left behind")


def greedy(**more: object) -> wire.Open:
    fields = {"temperature": 0.0, "max_tokens": LENGTH} | more
    sampling = wire.Sampling(**fields)  # type: ignore[arg-type]
    return wire.Open(s=1, tier="cloud", tokenizer=tokenizer(), prompt=PROMPT, sampling=sampling)


async def drafted(device: Device, opening: wire.Open, drafts: list[int]) -> tuple[list[int], int]:
    """The answer for which all `drafts` are sent at once, and how many were accepted."""
    runs = [
        wire.Draft(s=1, p=at, i=drafts[at : at + 50], b=drafts[max(0, at - 4) : at])
        for at in range(0, len(drafts), 50)
    ]
    await device.put(opening, *runs)
    assert (await device.expect(wire.Opened)).per_step == MOST_DRAFTS
    ids, done = await device.answer(1)
    assert done.reason == "length"
    assert done.prompt_tokens == len(PROMPT)
    return ids, done.accepted


async def test_right_drafts_are_checked_in_rounds(both: Both) -> None:
    engine, gateway = both
    async with connected(gateway.url) as device:
        ids, accepted = await drafted(device, greedy(), TRUTH)
    assert ids == TRUTH
    assert accepted > LENGTH / 2
    assert 0 < engine.rounds < LENGTH / 4
    assert gateway.metric("tierflow_draft_round_seconds_count", pool="cloud") >= engine.rounds
    assert gateway.metric("tierflow_draft_rounds_tokens_total", result="accepted") >= accepted


async def test_wrong_drafts_leave_the_answer_as_it_is(both: Both) -> None:
    engine, gateway = both
    wrong = [(token + 1) % VOCABULARY for token in TRUTH]
    async with connected(gateway.url) as device:
        ids, accepted = await drafted(device, greedy(), wrong)
    assert (ids, accepted) == (TRUTH, 0)


async def test_drafts_that_are_right_in_parts_leave_the_answer_as_it_is(both: Both) -> None:
    engine, gateway = both
    mixed = [token if place % 9 else 7 for place, token in enumerate(TRUTH)]
    async with connected(gateway.url) as device:
        assert (await drafted(device, greedy(), mixed))[0] == TRUTH


async def test_an_engine_that_refuses_rounds_goes_on_with_its_stream(both: Both) -> None:
    engine, gateway = both
    async with connected(gateway.url) as device:
        await drafted(device, greedy(), TRUTH)  # So that rounds are known to pay.
    engine.rounds, engine.refuses_rounds = 0, True
    async with connected(gateway.url) as device:
        ids, _ = await drafted(device, greedy(), TRUTH)
    assert (ids, engine.rounds) == (TRUTH, 0)
    assert gateway.metric("tierflow_draft_rounds_plain_total", reason="refused") == 1
    assert "cloud (refused)" in conditions(gateway)["draft-rounds-failing"]
    engine.refuses_rounds = False
    async with connected(gateway.url) as device:
        await drafted(device, greedy(), TRUTH)
    await soon(lambda: not conditions(gateway), "it is forgotten")


async def test_an_engine_that_breaks_in_a_round_is_asked_again(both: Both) -> None:
    engine, gateway = both
    engine.breaks_in_round = True
    async with connected(gateway.url) as device:
        ids, _ = await drafted(device, greedy(), TRUTH)
    assert ids == TRUTH
    assert not engine.breaks_in_round


@pytest.mark.parametrize(
    ("sampling", "reason"),
    [({"temperature": 0.7}, "sampled"), ({"stop": ["never"]}, "stop_texts")],
)
async def test_other_answers_are_streamed(
    both: Both, sampling: dict[str, object], reason: str
) -> None:
    engine, gateway = both
    before = gateway.metric("tierflow_draft_rounds_plain_total", reason=reason)
    async with connected(gateway.url) as device:
        ids, _ = await drafted(device, greedy(**sampling), TRUTH)
    assert (ids, engine.rounds) == (TRUTH, 0)
    after = gateway.metric("tierflow_draft_rounds_plain_total", reason=reason)
    assert after == before + 1
    await soon(
        lambda: gateway.logged(event="answer_without_rounds", pool="cloud", reason=reason),
        "it is logged",
    )


async def test_a_device_that_leaves_ends_the_rounds(both: Both) -> None:
    engine, gateway = both
    async with connected(gateway.url) as device:
        await device.put(greedy(), wire.Draft(s=1, p=0, i=TRUTH[:64]))
        await device.until(wire.Tokens)
    await soon(lambda: gateway.metric("tierflow_in_flight_requests") == 0, "nothing is inside")


async def test_readiness_tells_how_drafts_are_taken(both: Both, tmp_path: Path) -> None:
    engine, gateway = both
    assert httpx.get(gateway.url + "/ready").json()["pools"]["cloud"]["drafts"] == "rounds"
    with gateway_before(tmp_path, engine) as other:
        assert httpx.get(other.url + "/ready").json()["pools"]["cloud"]["drafts"] == "mailbox"
