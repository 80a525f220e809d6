"""The rest of a stream, as the engine that broke would have written it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.ports import Answer
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.sse import objects
from gateway.core.streams.stop_texts import StopScanner
from gateway.core.upstream_errors import engine_failed
from gateway.serving.continuation.stream_events import ContinuedEvents


class ContinuedAnswer:
    """An engine's completion of the prompt and of what was sent, in the shape of the caller's
    stream. It is an `Answer`, whose bytes are whole events; `stream` reads the engine's own.

    `owed` is text of the tokens sent that the caller has not had yet. `repeated` are tokens that
    have shown no text: the completion makes them once more. Where the caller has their ids
    (`shows_ids`), it has to begin with them; else they go along with the text that follows. Stop
    texts are looked for here, as one may begin in what was sent; the engine knows none.
    """

    def __init__(
        self,
        *,
        answer: Answer,
        stream: AnswerStream,
        endpoint: str,
        events: ContinuedEvents,
        owed: str = "",
        repeated: Sequence[int] = (),
        shows_ids: bool = False,
    ) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer
        self._endpoint = endpoint
        self._events = events
        self._owed = owed
        self._repeated = deque(repeated)
        self._shows_ids = shows_ids
        self._silent: list[int] = []
        self._stream = stream
        self._stops = StopScanner(stops=events.shape.stops, include=events.shape.include_stop)
        self._over = self._counted = False

    async def read(self) -> bytes:
        """Raises UpstreamError."""
        while not self._over:
            if self._stream.over:
                self._stream.finish()
            chunk = await self._answer.read()
            events = self._stream.feed(chunk) if chunk else self._stream.finish()
            if written := self.write(events):
                return written
        return b""

    def write(self, events: bytes) -> bytes:
        """The caller's events for whole ones of the engine. Raises EngineFailed."""
        written = b""
        for event in objects(events, self._endpoint):
            if not self._over:
                written += self._event(event)
        if self._stream.done and not self._over:
            self._over = True
            written += self._events.end(counted=self._counted)
        return written

    def drain(self) -> None:
        self._answer.drain()

    def close(self) -> None:
        self._answer.close()

    def _event(self, event: Mapping[str, Any]) -> bytes:
        try:
            if event["choices"]:
                return b"".join(self._choice(choice, event) for choice in event["choices"])
            self._counted = self._counted or event.get("usage") is not None
            return self._events.counts(event)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise engine_failed(self._endpoint, "sent an event that is no completion") from error

    def _choice(self, choice: Mapping[str, Any], event: Mapping[str, Any]) -> bytes:
        hidden = bool(self._repeated) and not self._shows_ids
        logprobs = self._new_logprobs(choice)
        ids = self._silent + self._new(choice.get("token_ids") or [])
        reason = choice.get("finish_reason")
        owed, self._owed = self._owed, ""
        text, stop_reason = self._stops.feed(owed + choice["text"]), choice.get("stop_reason")
        if self._stops.stopped is not None:
            reason, stop_reason = "stop", self._stops.stopped
        elif reason is not None:
            text += self._stops.rest()
        self._silent = [] if text or reason or not hidden else ids
        if self._silent or not (text or ids or reason):
            return b""
        written = self._events.choice(
            text,
            ids=ids,
            reason=reason,
            stop_reason=stop_reason,
            logprobs=logprobs,
            event=event,
        )
        if self._stops.stopped is not None:
            self._over = True
            self._answer.close()
            written += self._events.end(counted=self._counted)
        return written

    def _new_logprobs(self, choice: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Without those of the tokens that are made once more: the caller has them."""
        logprobs, ids = choice.get("logprobs"), choice.get("token_ids") or []
        repeated = min(len(self._repeated), len(ids))
        if not logprobs or not repeated:
            return logprobs
        if repeated == len(ids):
            return None
        return {name: values and values[repeated:] for name, values in logprobs.items()}

    def _new(self, ids: list[int]) -> list[int]:
        """Those that the caller does not have the ids of. Raises EngineFailed where the engine did
        not begin with the others."""
        self._events.tokens += len(ids)
        new = list(ids)
        for token in ids[: len(self._repeated)]:
            if self._repeated.popleft() != token and self._shows_ids:
                raise engine_failed(self._endpoint, "went on with other tokens than those sent")
            if self._shows_ids:
                new.pop(0)
        return new
