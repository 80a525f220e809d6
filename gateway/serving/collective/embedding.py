"""The `Embedder` port over a pool whose model has /v1/embeddings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from gateway.core.ports import Clock
from gateway.core.types import InferenceRequest
from gateway.errors import EmbeddingFailed, GatewayError
from gateway.protocol.paths import EMBEDDINGS
from gateway.serving.requests.engine_calls import EngineCall, EngineCalls

MAX_CHARS = 2000
"""The length to which a text is cut."""
MAX_DIMENSIONS = 8192


class EndpointEmbedder:
    """An embedder that asks the served model `model`."""

    name = "pool"

    def __init__(
        self, *, calls: EngineCalls, model: str, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._calls = calls
        self._model = model
        self._clock = clock
        self._new_id = new_id

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        parent = InferenceRequest(
            id=self._new_id(),
            path=EMBEDDINGS,
            model=self._model,
            body=b"",
            received=self._clock.now(),
        )
        body = {"input": [text[:MAX_CHARS] for text in texts], "encoding_format": "float"}
        try:
            reply = await self._calls.whole(
                EngineCall(
                    parent=parent, part="embed", model=self._model, body=body, path=EMBEDDINGS
                )
            )
        except GatewayError as error:
            raise EmbeddingFailed(
                f"{self._model} gave no embeddings: {error.message}", code=error.code
            ) from error
        vectors = [_vector(item) for item in _items(reply.body)]
        if len(vectors) != len(texts):
            raise _broken(f"{self._model} gave {len(vectors)} vectors for {len(texts)} texts")
        return vectors


def _items(body: Any) -> list[Any]:
    data = body.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise _broken("the body of the embeddings has no list `data`")
    if not all(isinstance(item.get("index") or 0, int) for item in data):
        raise _broken("the index of an embedding is not a whole number")
    return sorted(data, key=lambda item: item.get("index") or 0)


def _vector(item: Any) -> list[float]:
    """The item's embedding with a length of 1. Raises EmbeddingFailed."""
    embedding = item.get("embedding")
    if not isinstance(embedding, list) or not 0 < len(embedding) <= MAX_DIMENSIONS:
        raise _broken(f"an embedding is not a list of 1 to {MAX_DIMENSIONS} numbers")
    try:
        values = [float(x) for x in embedding]
    except (TypeError, ValueError):
        raise _broken("an embedding is not a list of numbers") from None
    length = math.sqrt(sum(x * x for x in values))
    if not 0.0 < length < math.inf:
        raise _broken("an embedding is not finite, or all of it is 0")
    return [x / length for x in values]


def _broken(message: str) -> EmbeddingFailed:
    return EmbeddingFailed(message, code="embedding_broken")
