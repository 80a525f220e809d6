"""Keeps the vectors of texts seen lately: descriptions come with every question."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from gateway.core.bounded_dict import BoundedDict
from gateway.core.ports import Embedder
from gateway.errors import EmbeddingFailed

Vector = Sequence[float]
MAX_COMING = 256
"""Texts under way at most: when they come faster than they can be embedded, none should wait."""


class CachedEmbedder:
    """An embedder that keeps the vectors of texts seen lately, `size` of them, by the texts'
    digests. `batch`: how many are embedded in one call.

    What is under way goes on when those that wait for it give up, and is kept when it is there, so
    that nothing is computed twice. Raises EmbeddingFailed, also where too much is under way.
    """

    def __init__(self, embedder: Embedder, size: int, batch: int = 1) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._batch = batch
        self._kept = BoundedDict[bytes, Vector](size)
        self._coming: dict[bytes, asyncio.Future[Vector]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        keys = [blake2b(text.encode("utf-8", "replace"), digest_size=16).digest() for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        vectors = {key: self._kept[key] for key in by_key if key in self._kept}
        for key in vectors:
            self._kept.move_to_end(key)
        self._begin({k: t for k, t in by_key.items() if k not in vectors and k not in self._coming})
        coming = {key: self._coming[key] for key in by_key if key not in vectors}
        for key, future in coming.items():
            vectors[key] = await asyncio.shield(future)
        return [vectors[key] for key in keys]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _begin(self, missing: Mapping[bytes, str]) -> None:
        if not missing:
            return
        if self._coming and len(self._coming) + len(missing) > MAX_COMING:
            raise EmbeddingFailed("more texts than can be embedded are waiting", code="busy")
        loop = asyncio.get_running_loop()
        for key in missing:
            self._coming[key] = future = loop.create_future()
            # Where nobody waits any more, nobody looks at how it ended.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        task = asyncio.create_task(self._embed(missing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _embed(self, missing: Mapping[bytes, str]) -> None:
        keys = list(missing)
        try:
            for at in range(0, len(keys), self._batch):
                some = keys[at : at + self._batch]
                made = await self._embedder.embed([missing[key] for key in some])
                for key, vector in zip(some, made, strict=True):
                    self._kept[key] = vector
                    self._coming.pop(key).set_result(vector)
        except Exception as error:
            for key in keys:
                if future := self._coming.pop(key, None):
                    future.set_exception(error)
        finally:
            for key in keys:
                if future := self._coming.pop(key, None):
                    future.cancel()
