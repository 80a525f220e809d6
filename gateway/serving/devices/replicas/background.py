"""Tasks that have to run for as long as the gateway does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

AGAIN_S = 1.0

log = structlog.get_logger("tierflow.members")


async def keep_running(task: str, run: Callable[[], Awaitable[None]]) -> None:
    """Until `run` returns: what it raises is logged by its type, and it begins anew after AGAIN_S.
    Without leases or heartbeats the devices here would be lost to everybody."""
    while True:
        try:
            await run()
            return
        except Exception as error:
            log.error("member_task_failed", task=task, error=type(error).__name__)
        await asyncio.sleep(AGAIN_S)
