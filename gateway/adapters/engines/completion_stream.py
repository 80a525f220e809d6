"""Reads the token ids out of an engine's /v1/completions stream."""

from __future__ import annotations

from collections import deque

import orjson

from gateway.core.ports import Answer
from gateway.core.speculation.job import Batch
from gateway.errors import EngineFailed

MAX_EVENT_BYTES = 8 * 1024 * 1024


class CompletionStream:
    """`read` gives a batch per event that holds ids or an end; `usage` what the engine counted."""

    def __init__(self, answer: Answer, endpoint_id: str) -> None:
        self._answer = answer
        self._endpoint = endpoint_id
        self._tail = b""
        self._ready: deque[Batch] = deque()
        self._ended = False
        self.usage: tuple[int, int] | None = None

    async def read(self) -> Batch | None:
        """None at the proper end. Raises EngineFailed: broken off, an error event, or no JSON."""
        while not self._ready:
            if self._ended:
                return None
            data = await self._answer.read()
            if not data:
                raise self._failed("ended its answer early", "engine_disconnected")
            self._feed(data)
        return self._ready.popleft()

    def close(self) -> None:
        self._answer.close()

    def _feed(self, data: bytes) -> None:
        events = (self._tail + data if self._tail else data).split(b"\n\n")
        self._tail = events.pop()
        if len(self._tail) > MAX_EVENT_BYTES:
            raise self._failed("sent an endless event", "engine_error")
        for event in events:
            if event.startswith(b"data: "):
                self._event(event[6:])

    def _event(self, payload: bytes) -> None:
        if payload.startswith(b"[DONE]"):
            self._ended = True
            return
        try:
            chunk = orjson.loads(payload)
            if "error" in chunk:
                raise self._failed("ended its answer with an error", "engine_error")
            if usage := chunk.get("usage"):
                self.usage = (int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
            for choice in chunk["choices"]:
                self._choice(choice["token_ids"] or [], choice)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._failed(
                "sent an event without token ids; it must know return_token_ids", "engine_error"
            ) from error

    def _choice(self, ids: list[int], choice: dict[str, object]) -> None:
        reason, stop = choice.get("finish_reason"), choice.get("stop_reason")
        text = choice.get("text")
        if ids or reason or text:
            self._ready.append(
                Batch(
                    ids=ids,
                    reason=reason if isinstance(reason, str) else None,
                    stop=stop if isinstance(stop, str) else None,
                    text=text if isinstance(text, str) else "",
                )
            )

    def _failed(self, what: str, code: str) -> EngineFailed:
        return EngineFailed(f"{self._endpoint} {what}", endpoint=self._endpoint, code=code)
