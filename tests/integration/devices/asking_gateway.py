"""A gateway that only asks: it shares a Redis with real gateways, and gives work to their devices.

As a process it asks one device for one piece of work, and waits:

    python -m tests.integration.devices.asking_gateway redis://127.0.0.1:6379/0 phone
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from gateway.core.devices.member import MemberFailed, WorkEnd, WorkOrder
from gateway.core.ports import Assignment, Members
from gateway.settings import Settings, shipped_profiles
from gateway.wiring.parts import build_parts, plan_parts

QUESTION = [{"role": "user", "content": "3 + 4?"}]


@asynccontextmanager
async def asking_gateway(redis: str) -> AsyncIterator[Members]:
    """The members as a gateway without devices and without a port of its own knows them."""
    values: dict[str, Any] = {
        "pools": {"cloud": {"tier": "cloud", "endpoints": ["http://127.0.0.1:9"]}},
        "state": {"redis": {"url": redis}, "timeout_s": 2},
        "profiles": shipped_profiles(),
    }
    settings = Settings(**values)
    async with AsyncExitStack() as stack:
        plan = await plan_parts(settings)
        yield (await build_parts(stack, settings, plan)).devices.members


def order(**fields: Any) -> WorkOrder:
    given: dict[str, Any] = {
        "kind": "generate",
        "messages": QUESTION,
        "max_tokens": 64,
        "deadline_s": 30.0,
    }
    return WorkOrder(**(given | fields))


async def known(members: Members, *devices: str) -> None:
    """Wait until these, and no others, are registered somewhere."""
    async with asyncio.timeout(20):
        while {member.id for member in members.members()} != set(devices):
            await asyncio.sleep(0.02)


async def whole(assignment: Assignment) -> str:
    """The answer's text. Raises MemberFailed."""
    text = ""
    async with asyncio.timeout(30):
        while not isinstance(piece := await assignment.read(), WorkEnd):
            text += piece.text
    return text


async def failure(assignment: Assignment) -> str:
    try:
        text = await whole(assignment)
    except MemberFailed as failed:
        return str(failed.code)
    raise AssertionError(f"it came to a good end: {text}")


async def _main(redis: str, device: str) -> None:
    async with asking_gateway(redis) as members:
        await known(members, device)
        print(await whole(members.assign(device, order())), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
