"""How well each member fits a question, and what the question is about."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.collective.similarity import cosine, nearest, word_overlap
from gateway.core.devices.member import Member
from gateway.core.ports import CollectiveTelemetry, Embedder
from gateway.errors import EmbeddingFailed, GatewayError

QUESTION_CHARS = 2000
"""More says nothing more about what a question is about; embedders cut earlier still."""
OTHER = "other"
LEAST_SIMILAR, LEAST_OVERLAP = 0.1, 0.01
"""Below this a question is of no domain."""


@dataclass(frozen=True, slots=True)
class Fit:
    """`similarity` by member's id; `by` is embedding or words."""

    domain: str
    similarity: Mapping[str, float]
    by: str


class Fitting:
    """`domains` maps names to what they are about. Without an embedder words are compared."""

    def __init__(
        self,
        embedder: Embedder | None,
        domains: Mapping[str, str],
        telemetry: CollectiveTelemetry,
        timeout_s: float,
    ) -> None:
        self._embedder = embedder
        self._domains = domains
        self._telemetry = telemetry
        self._timeout_s = timeout_s

    async def fit(self, question: str, members: Sequence[Member]) -> Fit:
        """Never fails: where no vectors can be had, words must do."""
        if self._embedder is not None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._by_vectors(self._embedder, question, members)
            except (GatewayError, TimeoutError):
                self._telemetry.embedding_failed(self._embedder.name)
        return self._by_words(question, members)

    async def _by_vectors(
        self, embedder: Embedder, question: str, members: Sequence[Member]
    ) -> Fit:
        texts = [question[:QUESTION_CHARS], *self._domains.values()]
        texts += [_offer(member) for member in members]
        vectors = await embedder.embed(texts)
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
            raise EmbeddingFailed(f"{embedder.name} gave vectors that do not fit together")
        asked, domains = vectors[0], vectors[1 : 1 + len(self._domains)]
        near = [(n, cosine(asked, v)) for n, v in zip(self._domains, domains, strict=True)]
        offers = vectors[1 + len(self._domains) :]
        similarity = {m.id: cosine(asked, v) for m, v in zip(members, offers, strict=True)}
        return Fit(nearest(near, LEAST_SIMILAR, OTHER), similarity, "embedding")

    def _by_words(self, question: str, members: Sequence[Member]) -> Fit:
        near = [(n, word_overlap(question, about, (n,))) for n, about in self._domains.items()]
        similarity = {m.id: word_overlap(question, m.description, m.tags) for m in members}
        return Fit(nearest(near, LEAST_OVERLAP, OTHER), similarity, "words")


def _offer(member: Member) -> str:
    return f"{member.description}\n{' '.join(sorted(member.tags))}".strip()
