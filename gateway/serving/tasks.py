"""Tasks that run as long as the gateway does, whatever fails in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.errors import StateLost
from gateway.protocol.backoff import pause_s

AGAIN_S = 1.0

log = structlog.get_logger("tierflow.tasks")


async def keep_running(
    task: str, run: Callable[[], Awaitable[None]], uniform: Callable[[], float]
) -> None:
    """Run it again after AGAIN_S at most whenever it fails, until it returns or is cancelled.

    A task that ended instead, such as the one of the leases, would lose the devices here to
    everybody. The pause does not grow: leases of replicas last only a few seconds. An error is
    logged by its type, as its message might quote a prompt; a lost store reports itself.
    """
    while True:
        try:
            await run()
            return
        except StateLost:
            pass
        except Exception as error:
            log.error("task_failed", task=task, error=type(error).__name__)
        if (current := asyncio.current_task()) is not None and current.cancelling():
            return  # It failed at its end.
        await asyncio.sleep(pause_s(1, uniform(), first_s=AGAIN_S, longest_s=AGAIN_S))
