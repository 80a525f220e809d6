"""What members offer, as vectors: made beside the requests, kept while the members are there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gateway.core.devices.member import Member
from gateway.core.ports import CollectiveTelemetry, Embedder
from gateway.errors import GatewayError

Vector = Sequence[float]
MOST_KEPT = 8192
AT_ONCE = 8
"""Texts given to the embedder at once: a question stands in line behind no more than these."""


class DescriptionVectors:
    """Vectors by a member's description and tags. One task makes those that are missing, so that
    any number of requests ask for each once."""

    def __init__(
        self, embedder: Embedder, telemetry: CollectiveTelemetry, most: int = MOST_KEPT
    ) -> None:
        self._embedder = embedder
        self._telemetry = telemetry
        self._most = most
        self._kept: dict[str, Vector] = {}
        self._wanted: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    async def vectors(self, members: Sequence[Member], patience_s: float) -> Mapping[str, Vector]:
        """By member's id; whose vectors are not there within `patience_s` seconds is not in it, and
        is so later. Never fails."""
        offers = {member.id: offer(member) for member in members}
        self._want(list(dict.fromkeys(offers.values())))
        if self._task is not None and any(text not in self._kept for text in offers.values()):
            await asyncio.wait([self._task], timeout=patience_s)
        return {id: self._kept[text] for id, text in offers.items() if text in self._kept}

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _want(self, texts: Sequence[str]) -> None:
        """What is there stays, as far as it is still offered, and new ones take free places alone:
        with more texts than places nothing would else be kept for long."""
        missing = [text for text in texts if text not in self._kept]
        if len(self._kept) + len(missing) > self._most:
            offered = set(texts)
            self._kept = {text: v for text, v in self._kept.items() if text in offered}
        room = self._most - len(self._kept) - len(self._wanted)
        fresh = [text for text in missing if text not in self._wanted]
        self._wanted |= dict.fromkeys(fresh[: max(0, room)])
        if self._wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._make())

    async def _make(self) -> None:
        while some := list(self._wanted)[:AT_ONCE]:
            try:
                made = await self._embedder.embed(some)
            except GatewayError:
                # Those that still want it ask again.
                self._telemetry.embedding_failed(self._embedder.name)
                self._wanted.clear()
                return
            for text, vector in zip(some, made, strict=True):
                self._kept[text] = vector
                self._wanted.pop(text, None)


def offer(member: Member) -> str:
    return f"{member.description}\n{' '.join(sorted(member.tags))}".strip()
