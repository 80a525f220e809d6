"""Which requests are answered with drafts of a predicted text."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from gateway.core.outcome import Outcome
from gateway.core.ports import DraftingEngines, ModelServer
from gateway.core.types import InferenceRequest
from gateway.errors import InvalidRequest
from gateway.protocol.requests.prediction import FIELD, predicted_text
from gateway.serving.speculation.drafted_server import MAX_BODY_BYTES, DraftedServer
from gateway.serving.speculation.prediction import PredictedRequest


class Predictions:
    """The way to the engines for requests with a predicted text of at most `max_chars` characters.
    `new_id` gives 32 hex digits that nobody can guess."""

    def __init__(
        self,
        *,
        server: ModelServer,
        engines: DraftingEngines,
        new_id: Callable[[], str],
        max_chars: int,
    ) -> None:
        self._server = server
        self._engines = engines
        self._new_id = new_id
        self._max_chars = max_chars

    def server(self, request: InferenceRequest, outcome: Outcome) -> ModelServer | None:
        """None for a request that predicts nothing. Raises InvalidRequest."""
        if not request.predicted:
            return None
        text = ""
        if len(request.body) <= MAX_BODY_BYTES:
            text = predicted_text(orjson.loads(request.body))
        if len(text) > self._max_chars:
            raise InvalidRequest(
                f"{FIELD}: has {len(text)} characters; give at most {self._max_chars} "
                "(predictions.max_chars)",
                param=FIELD,
                code="invalid_value",
            )
        return DraftedServer(
            server=self._server,
            engines=self._engines,
            drafted=PredictedRequest(text, outcome, self._engines.encode),
            stream=request.stream,
            new_id=self._new_id,
            marks=request.demands.marks,
        )
