"""A chain of tiers as one `Verification`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.ports import Verification
from gateway.core.speculation.job import Batch, DraftRun
from gateway.serving.chain.chain import Chain


class ChainVerification:
    """An answer by the last tier, with the `chain` that drafts for it. It is read as the last
    tier's alone is, and its batches tell who wrote each id first."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._last: Verification | None = None

    def connect(self, last: Verification) -> None:
        """The last tier has accepted the answer."""
        self._last = last

    @property
    def per_step(self) -> int | None:
        """How many draft tokens a step takes where drafts go first; None: no tier in the middle is
        at work."""
        return self._chain.per_step

    @property
    def usage(self) -> tuple[int, int] | None:
        return self._last.usage if self._last is not None else None

    def draft(self, runs: Sequence[DraftRun]) -> bool:
        return self._chain.leave(0, runs)

    async def read(self) -> Batch | None:
        last = self._last
        batch = await last.read() if last is not None else None
        if batch is None or not batch.ids:
            return batch
        return replace(batch, writers=self._chain.decide(batch.ids))

    def close(self) -> None:
        self._chain.close()
        if self._last is not None:
            self._last.close()
