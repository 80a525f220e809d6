"""Tasks that run as long as the gateway does."""

from __future__ import annotations

import asyncio


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel the task, and wait for its end, good or bad."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
