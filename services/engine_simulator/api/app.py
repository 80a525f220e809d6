"""The ASGI application: a handler for each path and method, and vLLM's body for errors."""

import re
from collections.abc import Awaitable, Callable

from services.engine_simulator.api import information
from services.engine_simulator.api.chat import chat_batch, chat_completions
from services.engine_simulator.api.completions import completions
from services.engine_simulator.api.embeddings import embeddings
from services.engine_simulator.api.exchange import Exchange, Receive, Scope, Send
from services.engine_simulator.api.messages import count_tokens, messages
from services.engine_simulator.api.ranking import pooling, rerank, score
from services.engine_simulator.api.responses import cancel_response, responses, stored_response
from services.engine_simulator.engine.engine import Engine
from services.engine_simulator.errors import EngineError
from services.engine_simulator.settings import Settings

Handler = Callable[[Engine, Exchange], Awaitable[None]]

_ROUTES: dict[str, dict[str, Handler]] = {
    "/v1/chat/completions": {"POST": chat_completions},
    "/v1/chat/completions/batch": {"POST": chat_batch},
    "/v1/completions": {"POST": completions},
    "/v1/responses": {"POST": responses},
    "/v1/responses/{id}": {"GET": stored_response},
    "/v1/responses/{id}/cancel": {"POST": cancel_response},
    "/v1/messages": {"POST": messages},
    "/v1/messages/count_tokens": {"POST": count_tokens},
    "/v1/embeddings": {"POST": embeddings},
    "/pooling": {"POST": pooling},
    **dict.fromkeys(("/rerank", "/v1/rerank", "/v2/rerank"), {"POST": rerank}),
    **dict.fromkeys(("/score", "/v1/score"), {"POST": score}),
    "/tokenize": {"POST": information.tokenize},
    "/detokenize": {"POST": information.detokenize},
    "/v1/models": {"GET": information.models},
    "/health": {"GET": information.health},
    "/version": {"GET": information.version},
    "/metrics": {"GET": information.metrics},
    "/simulator/faults": dict.fromkeys(("GET", "POST", "DELETE"), information.faults),
}


_STORED = re.compile(r"^/v1/responses/[^/]+(/cancel)?$")


class SimulatorApp:
    """The ASGI application. It builds its engine on the first request, when the loop runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._engine is None:
            self._engine = Engine(self._settings)
        exchange = Exchange(
            scope=scope,
            receive=receive,
            send=send,
            max_body_bytes=self._settings.max_body_bytes,
        )
        methods = _ROUTES.get(_STORED.sub(r"/v1/responses/{id}\1", exchange.path))
        if methods is None:
            await exchange.json({"detail": "Not Found"}, 404)
            return
        handler = methods.get(exchange.method)
        if handler is None:
            await exchange.json({"detail": "Method Not Allowed"}, 405)
            return
        try:
            await handler(self._engine, exchange)
        except EngineError as exc:
            await exchange.json(exc.body(), exc.status)
