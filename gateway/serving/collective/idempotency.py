"""A request with an idempotency key: held by one replica while it works, and answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gateway.core.state.operations import ClaimState
from gateway.errors import Conflict, StateLost
from gateway.serving.collective.memory_store import CollectiveMemory, taken_over
from gateway.serving.collective.memory_values import KnownBefore, Query

RENEWALS = 3
"""Per lease, so that one may fail."""


def refuse_second(known: KnownBefore) -> None:
    """Raises Conflict while another holder works on the request, or for another body."""
    if known.claimed.state is ClaimState.RUNNING:
        raise Conflict(
            "idempotency-key: this request is being answered; ask again with the same key when it "
            "is done",
            param="idempotency-key",
            code="idempotency_running",
        )
    if known.claimed.state is ClaimState.MISMATCH:
        raise Conflict(
            "idempotency-key: it was used for another body; take a new key for a new request",
            param="idempotency-key",
            code="idempotency_mismatch",
        )


@asynccontextmanager
async def claim_held(
    records: CollectiveMemory, query: Query, lease_s: float
) -> AsyncGenerator[None]:
    """Keeps the claim while the block runs, and gives it up when that fails. Stops the block and
    raises Conflict when another replica has taken it over."""
    if query.key is None:
        yield
        return
    # A time limit that is set when the claim is lost: what stops the block is told from what
    # cancels the request.
    block = asyncio.timeout(None)
    renewal = asyncio.create_task(_renew(records, query, lease_s / RENEWALS, block))
    try:
        try:
            async with block:
                yield
        except TimeoutError:
            if block.expired():
                raise taken_over() from None
            raise
    except BaseException:
        renewal.cancel()
        await records.give_up(query)
        raise
    finally:
        renewal.cancel()


async def _renew(
    records: CollectiveMemory, query: Query, every_s: float, block: asyncio.Timeout
) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            if not await records.renew(query):
                block.reschedule(asyncio.get_running_loop().time())
                return
        except StateLost:
            # The next one may get through; without it another replica takes over.
            continue
