"""How well each member fits a question, and what the question is about."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.collective.similarity import cosine, nearest, word_overlap
from gateway.core.devices.member import Member
from gateway.core.ports import CollectiveTelemetry, Embedder
from gateway.errors import EmbeddingFailed, GatewayError
from gateway.serving.collective.description_vectors import DescriptionVectors

QUESTION_CHARS = 2000
"""More says nothing more about what a question is about; embedders cut earlier still."""
OTHER = "other"
PATIENCE_S = 0.5
"""For descriptions that were never seen: enough for a few, and many are made in the meantime."""
LEAST_SIMILAR, LEAST_OVERLAP = 0.1, 0.01
"""Below this a question is of no domain."""


@dataclass(frozen=True, slots=True)
class Fit:
    """`similarity` by member's id; `by` is embedding or words."""

    domain: str
    similarity: Mapping[str, float]
    by: str


class FitEstimator:
    """`domains` maps names to what they are about. Without an embedder words are compared, and
    likewise for members whose descriptions' vectors are not made within `patience_s`."""

    def __init__(
        self,
        *,
        embedder: Embedder | None,
        domains: Mapping[str, str],
        telemetry: CollectiveTelemetry,
        timeout_s: float,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._embedder = embedder
        self._offers = None if embedder is None else DescriptionVectors(embedder, telemetry)
        self._patience_s = patience_s
        self._domains = domains
        self._telemetry = telemetry
        self._timeout_s = timeout_s

    async def fit(self, question: str, members: Sequence[Member]) -> Fit:
        """Never fails: where no vectors can be had, words must do."""
        if self._embedder is not None and self._offers is not None:
            try:
                async with asyncio.timeout(self._timeout_s):
                    asked, domain = await self._about(self._embedder, question)
            except (GatewayError, TimeoutError):
                self._telemetry.embedding_failed(self._embedder.name)
            else:
                offers = await self._offers.vectors(members, self._patience_s)
                return _by_vectors(question, asked, domain, members, offers)
        return self._by_words(question, members)

    def close(self) -> None:
        if self._offers is not None:
            self._offers.close()

    async def _about(self, embedder: Embedder, question: str) -> tuple[Sequence[float], str]:
        """The question's vector and its domain."""
        texts = [question[:QUESTION_CHARS], *self._domains.values()]
        vectors = await embedder.embed(texts)
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
            raise EmbeddingFailed(f"{embedder.name} gave vectors that do not fit together")
        asked, *domains = vectors
        near = [(n, cosine(asked, v)) for n, v in zip(self._domains, domains, strict=True)]
        return asked, nearest(near, LEAST_SIMILAR, OTHER)

    def _by_words(self, question: str, members: Sequence[Member]) -> Fit:
        near = [(n, word_overlap(question, about, (n,))) for n, about in self._domains.items()]
        similarity = {m.id: word_overlap(question, m.description, m.tags) for m in members}
        return Fit(nearest(near, LEAST_OVERLAP, OTHER), similarity, "words")


def _by_vectors(
    question: str,
    asked: Sequence[float],
    domain: str,
    members: Sequence[Member],
    offers: Mapping[str, Sequence[float]],
) -> Fit:
    similarity = {}
    for member in members:
        vector = offers.get(member.id, ())
        # A vector of another length is another model's, which may have been exchanged just now.
        similarity[member.id] = (
            cosine(asked, vector)
            if len(vector) == len(asked)
            else word_overlap(question, member.description, member.tags)
        )
    return Fit(domain, similarity, "embedding")
