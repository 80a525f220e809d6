"""Idempotency keys: one replica at a time works on a request, and it is answered once.

The store holds two records for a key. The *claim* has the digest of the request's body, the holder
(the request at one replica), a lease, and at last the answer; `core.state.claims` decides about it.
The *rounds* are what has been done so far, so that another replica can go on from there.

    replica A                           store                 replica B, with the same request
    claim                           ->  NEW
                                        RUNNING           <-  claim: 409 idempotency_running
    claim and first round's answers ->  NEW, 1 round
    claim, every lease_s / 3        ->  NEW, a longer lease
    (A dies, or pauses for longer than the lease)
                                        TAKEN_OVER, round <-  claim: goes on with the same members
                                                              and quorum, after the stored rounds
    (A comes back) claim            ->  RUNNING: A stops with 409 idempotency_running
                                        DONE              <-  complete with the answer
    (any replica) claim             ->  DONE: the stored answer once more

A holder that fails completes the claim without an answer, and the next claim is NEW again. A claim
with another body's digest is a MISMATCH: 409 idempotency_mismatch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from gateway.core.collective.report import Report
from gateway.core.state.operations import ClaimResult, ClaimState
from gateway.errors import Conflict, StateLost
from gateway.serving.collective.memory import PriorKnowledge, RequestKeys
from gateway.serving.collective.memory_store import CollectiveMemory, taken_over

RENEWALS = 3
"""Renewals for each lease, so that one may fail."""


def check_claim(claimed: ClaimResult) -> None:
    """Raises Conflict while another holder works on the request, or for another body."""
    if claimed.state is ClaimState.RUNNING:
        raise Conflict(
            "idempotency-key: this request is being answered; send it again with the same key when "
            "that is done",
            param="idempotency-key",
            code="idempotency_running",
        )
    if claimed.state is ClaimState.MISMATCH:
        raise Conflict(
            "idempotency-key: this key was used with another body; a new request needs a new key",
            param="idempotency-key",
            code="idempotency_mismatch",
        )


class HeldClaim:
    """A request's claim on its idempotency key, while this replica works on it. Without a key there
    is nothing to hold, and nothing is stored."""

    def __init__(self, memory: CollectiveMemory, keys: RequestKeys, prior: PriorKnowledge) -> None:
        self._memory = memory
        self._keys = keys
        self._stored_rounds = prior.stored_rounds

    async def keep_round(self, report: Report) -> None:
        """Store what is done so far for a replica that may have to take over. Raises Conflict when
        one has."""
        self._stored_rounds = await self._memory.keep_round(self._keys, self._stored_rounds, report)


@asynccontextmanager
async def held_claim(
    memory: CollectiveMemory, keys: RequestKeys, prior: PriorKnowledge, lease_s: float
) -> AsyncGenerator[HeldClaim]:
    """Renews the claim while the block runs, and gives it up when the block fails. Stops the block
    and raises Conflict when another replica has taken the claim over."""
    claim = HeldClaim(memory, keys, prior)
    if keys.key is None:
        yield claim
        return
    # A time limit that is set when the claim is lost: so the end of the claim can be told from the
    # cancellation of the request.
    block = asyncio.timeout(None)
    renewal = asyncio.create_task(_renew(memory, keys, lease_s / RENEWALS, block))
    try:
        try:
            async with block:
                yield claim
        except TimeoutError:
            if block.expired():
                raise taken_over() from None
            raise
    except BaseException:
        renewal.cancel()
        await memory.give_up(keys)
        raise
    finally:
        renewal.cancel()


async def _renew(
    memory: CollectiveMemory, keys: RequestKeys, every_s: float, block: asyncio.Timeout
) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            if not await memory.renew(keys):
                block.reschedule(asyncio.get_running_loop().time())
                return
        except StateLost:
            # The next renewal may get through. If none does, another replica takes over.
            continue
