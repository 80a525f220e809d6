"""The routes about the engine itself: models, health, version, metrics, tokenizer, faults."""

from services.engine_simulator.api import chat_template, identity
from services.engine_simulator.api.exchange import Exchange
from services.engine_simulator.api.schema import DetokenizeBody, TokenizeBody, parse
from services.engine_simulator.engine.engine import Engine
from services.engine_simulator.engine.metrics import CONTENT_TYPE
from services.engine_simulator.engine.tokenizer import decode, encode, token_text
from services.engine_simulator.errors import EngineError

VERSION = "0.32.0+simulator"
_PERMISSION = {
    "id": "modelperm-simulator",
    "object": "model_permission",
    "allow_create_engine": False,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}


async def models(engine: Engine, exchange: Exchange) -> None:
    cards = [
        {
            "id": name,
            "object": "model",
            "created": identity.now(),
            "owned_by": "vllm",
            "root": name,
            "parent": None,
            "max_model_len": engine.settings.max_model_len,
            "permission": [_PERMISSION],
        }
        for name in engine.models()
    ]
    await exchange.json({"object": "list", "data": cards})


async def health(engine: Engine, exchange: Exchange) -> None:
    await exchange.reply(b"", 503 if engine.faults.current().unhealthy else 200)


async def version(engine: Engine, exchange: Exchange) -> None:
    await exchange.json({"version": VERSION})


async def metrics(engine: Engine, exchange: Exchange) -> None:
    await exchange.reply(engine.metrics.render(), content_type=CONTENT_TYPE.encode())


async def tokenize(engine: Engine, exchange: Exchange) -> None:
    body = parse(TokenizeBody, await exchange.body())
    engine.resolve(body.model)
    if body.messages is not None:
        ids = chat_template.render(engine.settings, body.messages, body.add_generation_prompt)
    elif body.prompt is not None:
        ids = list(encode(body.prompt))
    else:
        raise EngineError("Give `prompt` or `messages`.", kind="Bad Request", param="body.prompt")
    await exchange.json(
        {
            "count": len(ids),
            "max_model_len": engine.settings.max_model_len,
            "tokens": ids,
            "token_strs": list(map(token_text, ids)) if body.return_token_strs else None,
        }
    )


async def detokenize(engine: Engine, exchange: Exchange) -> None:
    body = parse(DetokenizeBody, await exchange.body())
    engine.resolve(body.model)
    await exchange.json({"prompt": decode(body.tokens)})


async def faults(engine: Engine, exchange: Exchange) -> None:
    """GET shows, POST sets, DELETE clears; 403 unless the engine was started to allow it."""
    if not engine.settings.allow_fault_control:
        raise EngineError("Start the simulator with --allow-fault-control.", status=403)
    if exchange.method == "DELETE":
        engine.faults.clear()
    elif exchange.method == "POST":
        engine.faults.set_all(await exchange.body())
    await exchange.json(engine.faults.describe())
