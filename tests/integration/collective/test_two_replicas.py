"""Two gateways on one Redis: a collective is the same whichever of them is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from openai import APIConnectionError, APIStatusError, AsyncOpenAI

from tests.integration.collective.conftest import Place, gateways_with_a_judge, ready
from tests.integration.gateway_replicas import Replicas
from tests.integration.member import answers
from tests.redis_server import needs_redis

pytestmark = [pytest.mark.integration, pytest.mark.redis, pytest.mark.anyio, needs_redis]

QUESTION = [{"role": "user", "content": "What is 6 times 7?"}]
RIGHT, WRONG = answers("Answer:", " 42"), answers("Answer:", " 48")


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[tuple[Place, Place]]:
    """Both see each other's devices, and have the same judge."""
    async with AsyncExitStack() as stack:
        both, judge = await stack.enter_async_context(
            gateways_with_a_judge(tmp_path, 2, lease_s=1.0)
        )
        found = []
        for gateway in both.each:
            client = AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0)
            await stack.enter_async_context(client)
            found.append(Place(Replicas([gateway]), judge, client))
            await ready(gateway)
        yield found[0], found[1]


async def ask(place: Place, key: str = "k", **options: Any) -> Any:
    given = {"aggregate": "template", "members": "all", "quorum": 2, **options}
    return await place.client.chat.completions.create(
        model="tierflow-collective",
        messages=QUESTION,  # type: ignore[arg-type]
        extra_body={"tierflow": {"collective": given}},
        extra_headers={"Idempotency-Key": key},
    )


def about(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.model_extra["tierflow"]["collective"]
    return found


async def with_both(place: Place, key: str) -> Any:
    """An answer in which both devices took part: how the other replica's is heard of takes time."""
    async with asyncio.timeout(30):
        number = 0
        while len(about(answer := await ask(place, f"{key}-{number}"))["members"]) < 2:
            number += 1
            await asyncio.sleep(0.1)
    return answer, f"{key}-{number}"


async def test_devices_at_either_replica_answer_and_either_repeats_it(
    places: tuple[Place, Place],
) -> None:
    one, other = places
    async with one.members(maths=RIGHT) as here, other.members(code=WRONG):
        first, key = await with_both(one, "shared")
        assert {m["outcome"] for m in about(first)["members"]} == {"answered"}
        asked = len(here["maths"].works)
        again = await ask(other, key)
        assert again.id == first.id
        assert len(here["maths"].works) == asked


async def test_what_a_killed_replica_had_begun_is_finished_by_the_other(
    places: tuple[Place, Place],
) -> None:
    one, other = places
    async with other.members(maths=RIGHT, code=WRONG) as devices:
        await with_both(one, "warm")
        asked, judged = len(devices["maths"].works), len(one.judge.prompts)
        one.judge.gate.clear()
        lost = asyncio.create_task(ask(one, "lost"))
        async with asyncio.timeout(20):
            while len(one.judge.prompts) == judged:
                await asyncio.sleep(0.02)
        one.gateway.kill()
        one.judge.gate.set()
        with pytest.raises(APIConnectionError):
            await lost
        answer = await _when_free(other, "lost")
        assert about(answer)["resumed"]
        assert answer.choices[0].message.content == "Answer: 42"
        assert len(devices["maths"].works) == asked + 1, "nobody is asked twice"


async def _when_free(place: Place, key: str) -> Any:
    """Until the dead replica's claim has expired, it is being answered."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await ask(place, key)
            except APIStatusError as error:
                assert error.code == "idempotency_running"
                await asyncio.sleep(0.1)
