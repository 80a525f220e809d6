"""/v1/embeddings: deterministic unit vectors; texts that share tokens point the same way."""

import base64
import math
import random
import struct
from collections.abc import Sequence
from functools import lru_cache

from services.engine_simulator.api import identity
from services.engine_simulator.api.exchange import Exchange
from services.engine_simulator.api.prompts import as_prompts
from services.engine_simulator.api.sampling import check_prompt
from services.engine_simulator.api.schema import EmbeddingsBody, parse
from services.engine_simulator.engine.engine import Engine
from services.engine_simulator.errors import invalid


@lru_cache(maxsize=4096)
def _direction(token_id: int, dimensions: int) -> tuple[float, ...]:
    gauss = random.Random(token_id).gauss
    return tuple(gauss(0.0, 1.0) for _ in range(dimensions))


def embed(ids: Sequence[int], dimensions: int) -> list[float]:
    """The normalised sum of the tokens' fixed directions; length 1 for any non-empty text."""
    columns = zip(*(_direction(token_id, dimensions) for token_id in ids), strict=True)
    total = [math.fsum(column) for column in columns]
    length = math.hypot(*total) or 1.0
    return [value / length for value in total]


async def embeddings(engine: Engine, exchange: Exchange) -> None:
    body = parse(EmbeddingsBody, await exchange.body())
    engine.admit()
    model = engine.resolve(body.model)
    dimensions = body.dimensions
    if dimensions is None:
        dimensions = engine.settings.embedding_dimensions
    if not 1 <= dimensions <= 8192:
        raise invalid("dimensions", "must lie between 1 and 8192", dimensions)
    data = []
    prompt_tokens = 0
    for index, ids in enumerate(as_prompts(body.input)):
        check_prompt(ids, engine.settings.max_model_len + 1)
        prompt_tokens += len(ids)
        vector: list[float] | str = embed(ids, dimensions)
        if body.encoding_format == "base64":
            vector = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"index": index, "object": "embedding", "embedding": vector})
    await exchange.json(
        {
            "id": identity.new_id("embd-"),
            "object": "list",
            "created": identity.now(),
            "model": model,
            "data": data,
            "usage": identity.detailed_usage(prompt_tokens, 0),
        }
    )
