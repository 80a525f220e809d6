"""How well each member fits a question, and which domain the question belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.collective.similarity import cosine, nearest, word_overlap
from gateway.core.devices.member import Member
from gateway.core.ports import CollectiveTelemetry, Embedder
from gateway.errors import EmbeddingFailed, GatewayError

Vector = Sequence[float]

QUESTION_CHARS = 2000
"""What a question is about stands in its first characters; embedders cut it earlier still."""
OTHER = "other"
"""The domain of a question that is close to none of the configured ones."""
LEAST_SIMILAR, LEAST_OVERLAP = 0.1, 0.01
"""A question that is less close than this to every domain belongs to `OTHER`."""
PATIENCE_S = 0.5
"""How long a question waits for the vectors of new descriptions. It is enough for a few of them;
the others are made in the background."""
MAX_VECTORS = 8192
EMBEDDING_BATCH = 8
"""Descriptions that the embedder gets in one call: a question waits for one such call at most."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A question's domain, and how similar each member's description is to the question (-1 to 1,
    by the member's id). `method`: embedding or words."""

    domain: str
    similarity: Mapping[str, float]
    method: str


class FitEstimator:
    """The measure of how well members fit a question.

    It compares vectors of an `embedder`. Words are compared in their place without an embedder,
    when the question's vector does not come within `timeout_s`, and for each member whose
    description's vector does not come within `patience_s`. `domains` maps names to what they are
    about. `problem`: why the last question got no vector; empty where it did.
    """

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
        self._descriptions = None if embedder is None else DescriptionVectors(embedder, telemetry)
        self._patience_s = patience_s
        self._domains = domains
        self._telemetry = telemetry
        self._timeout_s = timeout_s
        self.problem = ""

    async def fit(self, question: str, members: Sequence[Member], *, by_words: bool = False) -> Fit:
        """`by_words`: no embedder may see or keep the question. Never raises."""
        if self._embedder is not None and self._descriptions is not None and not by_words:
            try:
                async with asyncio.timeout(self._timeout_s):
                    vector, domain = await self._question_vector(self._embedder, question)
            except (GatewayError, TimeoutError) as error:
                self._telemetry.embedding_failed(self._embedder.name)
                late = f"no vector within {self._timeout_s:g} s"
                reason = error.message if isinstance(error, GatewayError) else late
                self.problem = f"{self._embedder.name}: {reason}"
            else:
                self.problem = ""
                vectors = await self._descriptions.vectors(members, self._patience_s)
                return _fit_by_vectors(question, vector, domain, members, vectors)
        return self._fit_by_words(question, members)

    def close(self) -> None:
        if self._descriptions is not None:
            self._descriptions.close()

    async def _question_vector(self, embedder: Embedder, question: str) -> tuple[Vector, str]:
        """The question's vector and its domain."""
        texts = [question[:QUESTION_CHARS], *self._domains.values()]
        vectors = await embedder.embed(texts)
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) > 1:
            raise EmbeddingFailed(
                f"{embedder.name} gave vectors that do not fit together", code="embedding_broken"
            )
        vector, *domains = vectors
        similarities = [
            (name, cosine(vector, domain))
            for name, domain in zip(self._domains, domains, strict=True)
        ]
        return vector, nearest(similarities, LEAST_SIMILAR, OTHER)

    def _fit_by_words(self, question: str, members: Sequence[Member]) -> Fit:
        overlaps = [
            (name, word_overlap(question, about, (name,))) for name, about in self._domains.items()
        ]
        similarity = {m.id: word_overlap(question, m.description, m.tags) for m in members}
        return Fit(nearest(overlaps, LEAST_OVERLAP, OTHER), similarity, "words")


def _fit_by_vectors(
    question: str,
    question_vector: Vector,
    domain: str,
    members: Sequence[Member],
    vectors: Mapping[str, Vector],
) -> Fit:
    similarity = {}
    for member in members:
        vector = vectors.get(member.id, ())
        # A vector of another length is another model's, which may have been exchanged just now.
        similarity[member.id] = (
            cosine(question_vector, vector)
            if len(vector) == len(question_vector)
            else word_overlap(question, member.description, member.tags)
        )
    return Fit(domain, similarity, "embedding")


class DescriptionVectors:
    """The vectors of the members' descriptions and tags, kept while the members are registered.

    One background task makes those that are missing, so that each is made once however many
    requests need it. At most `max_vectors` are kept.
    """

    def __init__(
        self, embedder: Embedder, telemetry: CollectiveTelemetry, max_vectors: int = MAX_VECTORS
    ) -> None:
        self._embedder = embedder
        self._telemetry = telemetry
        self._max_vectors = max_vectors
        self._vectors: dict[str, Vector] = {}
        self._missing: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    async def vectors(self, members: Sequence[Member], patience_s: float) -> Mapping[str, Vector]:
        """The vectors by member's id, without those that are not made within `patience_s` seconds;
        later calls have them. Never raises."""
        texts = {member.id: description_text(member) for member in members}
        self._request(list(dict.fromkeys(texts.values())))
        if self._task is not None and any(text not in self._vectors for text in texts.values()):
            await asyncio.wait([self._task], timeout=patience_s)
        return {id: self._vectors[text] for id, text in texts.items() if text in self._vectors}

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _request(self, texts: Sequence[str]) -> None:
        """Have the missing vectors made, as far as there is room.

        A vector goes only when its member is gone. With more members than places a newer one would
        otherwise take the place of an older one at each request, and most vectors would be made
        again and again.
        """
        missing = [text for text in texts if text not in self._vectors]
        if len(self._vectors) + len(missing) > self._max_vectors:
            current = set(texts)
            self._vectors = {text: v for text, v in self._vectors.items() if text in current}
        room = self._max_vectors - len(self._vectors) - len(self._missing)
        fresh = [text for text in missing if text not in self._missing]
        self._missing |= dict.fromkeys(fresh[: max(0, room)])
        if self._missing and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._make_missing())

    async def _make_missing(self) -> None:
        while batch := list(self._missing)[:EMBEDDING_BATCH]:
            try:
                vectors = await self._embedder.embed(batch)
            except GatewayError:
                # The next request that needs them has them made again.
                self._telemetry.embedding_failed(self._embedder.name)
                self._missing.clear()
                return
            for text, vector in zip(batch, vectors, strict=True):
                self._vectors[text] = vector
                self._missing.pop(text, None)


def description_text(member: Member) -> str:
    """What a member says of itself, as one text."""
    return f"{member.description}\n{' '.join(sorted(member.tags))}".strip()
