"""Keeps the vectors of texts seen lately: descriptions come with every question."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from gateway.core.ports import Embedder

Vector = Sequence[float]


class CachedEmbedder:
    """`size` counts texts. Not the texts are kept, but their digests."""

    def __init__(self, embedder: Embedder, size: int) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._size = size
        self._kept: OrderedDict[bytes, Vector] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        keys = [blake2b(text.encode("utf-8", "replace"), digest_size=16).digest() for text in texts]
        missing = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self._kept
        }
        found = {key: self._kept[key] for key in keys if key in self._kept}
        if missing:
            new = await self._embedder.embed(list(missing.values()))
            found |= dict(zip(missing, new, strict=True))
        for key in keys:
            self._kept[key] = found[key]
            self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return [found[key] for key in keys]
