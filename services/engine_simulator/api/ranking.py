"""/rerank, /score and /pooling, by the vectors of /v1/embeddings."""

import math

from services.engine_simulator.api import identity
from services.engine_simulator.api.embeddings import embed
from services.engine_simulator.api.exchange import Exchange
from services.engine_simulator.api.prompts import as_prompts
from services.engine_simulator.api.schema import EmbeddingsBody, RerankBody, ScoreBody, parse
from services.engine_simulator.engine.engine import Engine
from services.engine_simulator.engine.tokenizer import encode


async def rerank(engine: Engine, exchange: Exchange) -> None:
    body = parse(RerankBody, await exchange.body())
    engine.admit()
    model = engine.resolve(body.model)
    scored = [(_score(body.query, text), -index) for index, text in enumerate(body.documents)]
    results = [
        {
            "index": -index,
            "document": {"text": body.documents[-index]},
            "relevance_score": relevance,
        }
        for relevance, index in sorted(scored, reverse=True)
    ]
    tokens = _tokens(body.query, *body.documents)
    await exchange.json(
        {
            "id": identity.new_id("rerank-"),
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "results": results[: body.top_n or None],
        }
    )


async def score(engine: Engine, exchange: Exchange) -> None:
    body = parse(ScoreBody, await exchange.body())
    engine.admit()
    model = engine.resolve(body.model)
    others = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    data = [
        {"index": index, "object": "score", "score": _score(body.text_1, text)}
        for index, text in enumerate(others)
    ]
    await _list(exchange, model, data, _tokens(body.text_1, *others))


async def pooling(engine: Engine, exchange: Exchange) -> None:
    body = parse(EmbeddingsBody, await exchange.body())
    engine.admit()
    model = engine.resolve(body.model)
    prompts = as_prompts(body.input)
    data = [
        {"index": index, "object": "pooling", "data": _vector(engine, ids)}
        for index, ids in enumerate(prompts)
    ]
    await _list(exchange, model, data, sum(map(len, prompts)))


async def _list(exchange: Exchange, model: str, data: list[dict[str, object]], tokens: int) -> None:
    await exchange.json(
        {
            "id": identity.new_id("embd-"),
            "object": "list",
            "created": identity.now(),
            "model": model,
            "data": data,
            "usage": identity.detailed_usage(tokens, 0),
        }
    )


def _vector(engine: Engine, ids: list[int]) -> list[float]:
    return embed(ids, engine.settings.embedding_dimensions)


def _score(one: str, other: str) -> float:
    """How near their directions are."""
    pair = [embed(list(encode(text)), 64) for text in (one, other)]
    return math.fsum(a * b for a, b in zip(*pair, strict=True))


def _tokens(*texts: str) -> int:
    return sum(len(list(encode(text))) for text in texts)
