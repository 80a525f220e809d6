"""Tasks that run as long as the gateway does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from gateway.serving.tasks import keep_running


def start_task(stack: AsyncExitStack, name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run it until `stack` ends, and anew whenever it fails; `name` is for the log."""
    task = asyncio.create_task(keep_running(name, run, random.random))
    stack.push_async_callback(end_task, task)


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel the task, and wait for its end, good or bad."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
