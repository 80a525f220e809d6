"""Predicted outputs: the text that a caller expects, as drafts for the engine that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gateway.core.outcome import PREDICTION_USED, Outcome
from gateway.core.ports import LeaveDrafts
from gateway.core.speculation.eligibility import Fields
from gateway.core.speculation.job import DraftFacts
from gateway.core.speculation.predicted_text import PredictedText
from gateway.core.types import Endpoint
from gateway.errors import GatewayError
from gateway.protocol.headers import PREDICTED, VERIFIER

NOT_USED = "not-used: "
TextIds = Callable[[Endpoint, str, str], Awaitable[Sequence[int]]]
"""Gives the token ids of a text at an endpoint, for a model. Raises GatewayError."""


class PredictedRequest:
    """A request with a predicted text, at whichever endpoint answers it (`DraftedRequest`).
    `outcome` gets what came of it."""

    def __init__(self, text: str, outcome: Outcome, text_ids: TextIds) -> None:
        self._text = text
        self._outcome = outcome
        self._text_ids = text_ids
        self._source: PredictionSource | None = None

    def source(
        self, endpoint: Endpoint, facts: DraftFacts, path: str, fields: Fields
    ) -> PredictionSource | None:
        if not self._text:
            self.unused("empty")
            return None
        self._outcome.prediction = PREDICTION_USED
        ids = self._text_ids(endpoint, str(fields.get("model") or ""), self._text)
        self._source = PredictionSource(ids, facts, self._outcome)
        return self._source

    def engine_fields(self, fields: Fields) -> Fields:
        return {name: value for name, value in fields.items() if name != "prediction"}

    def unused(self, reason: str) -> None:
        self._source, self._outcome.prediction = None, NOT_USED + reason

    def usage_details(self) -> Mapping[str, int]:
        return {} if self._source is None else self._source.usage_details()


class PredictionSource:
    """A `DraftSource` of the predicted text, whose token ids are fetched while the engine begins:
    the answer does not wait for them."""

    def __init__(
        self, fetching: Awaitable[Sequence[int]], facts: DraftFacts, outcome: Outcome
    ) -> None:
        self._facts = facts
        self._outcome = outcome
        self._leave: LeaveDrafts | None = None
        self._predicted: PredictedText | None = None
        self._early: list[int] = []
        self._tokens = 0
        self._closed = False
        self._task = asyncio.create_task(self._fetch(fetching))

    def start(self, leave: LeaveDrafts) -> None:
        self._leave = leave
        if self._predicted is not None:
            self._begin(self._predicted, leave)

    def prompt(self, ids: Sequence[int]) -> None:
        """The text is offered whatever was asked."""

    def advance(self, ids: Sequence[int]) -> Sequence[str]:
        self._tokens += len(ids)
        predicted, leave = self._predicted, self._leave
        if predicted is None or leave is None:
            self._early += ids
            return [VERIFIER] * len(ids)
        if runs := predicted.advance(ids):
            leave(runs)
        return [PREDICTED if came else VERIFIER for came in predicted.came]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._task.cancel()
            # A step's tokens come in one event, which is all that is counted without usage.
            outcome = self._outcome
            outcome.completion_tokens = max(outcome.completion_tokens, self._tokens)
            self._note()

    def usage_details(self) -> Mapping[str, int]:
        self._note()
        return self._outcome.prediction_details

    def _note(self) -> None:
        if self._predicted is not None:
            self._outcome.prediction_accepted = self._predicted.accepted
            self._outcome.prediction_rejected = self._predicted.rejected

    async def _fetch(self, fetching: Awaitable[Sequence[int]]) -> None:
        try:
            ids = await fetching
        except GatewayError:
            # The answer comes all the same; the header of a stream may have gone out by now.
            self._outcome.prediction = NOT_USED + "no-token-ids"
            return
        if (most := self._facts.vocabulary) is not None:
            ids = ids[: next((n for n, token in enumerate(ids) if token >= most), len(ids))]
        self._predicted = PredictedText(ids=ids, per_step=self._facts.per_step)
        if self._leave is not None:
            self._begin(self._predicted, self._leave)

    def _begin(self, predicted: PredictedText, leave: LeaveDrafts) -> None:
        """Also where some of the answer is there already."""
        runs = predicted.advance(self._early) if self._early else predicted.begin()
        self._early.clear()
        if runs:
            leave(runs)
