"""Reads the token ids out of an engine's stream: of a completion, or of a chat."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from gateway.adapters.engines.dialects import VLLM, Dialect, checked_ids
from gateway.core.ports import Answer
from gateway.core.speculation.job import Batch
from gateway.core.streams.answer_stream import AnswerStream
from gateway.core.streams.sse import objects
from gateway.core.streams.usage import read_usage
from gateway.core.upstream_errors import engine_failed
from gateway.protocol.paths import CHAT, COMPLETIONS


class CompletionStream:
    """A stream of token ids from an engine. `read` gives a batch per event that holds ids or an
    end; `usage` is what the engine counted. `path` is what was asked for; the first batch of a chat
    tells the prompt's ids, too."""

    def __init__(
        self,
        *,
        answer: Answer,
        endpoint_id: str,
        dialect: Dialect = VLLM,
        path: str = COMPLETIONS,
    ) -> None:
        self._answer = answer
        self._dialect = dialect
        self._count = 0
        self._endpoint = endpoint_id
        self._stream = AnswerStream(path, endpoint_id)
        self._chat = path == CHAT
        self._prompt: Sequence[int] = ()
        self._ready: deque[Batch] = deque()
        self.usage: tuple[int, int] | None = None

    async def read(self) -> Batch | None:
        """None at the proper end. Raises EngineFailed."""
        while not self._ready:
            if self._stream.over:
                self._stream.finish()
                self._answer.drain()
                return None
            chunk = await self._answer.read()
            events = self._stream.feed(chunk) if chunk else self._stream.finish()
            for event in objects(events, self._endpoint):
                self._event(event)
        return self._ready.popleft()

    def close(self) -> None:
        self._answer.close()

    def _event(self, event: dict[str, Any]) -> None:
        try:
            if (usage := read_usage(event)) and usage.prompt_tokens:
                self.usage = (usage.prompt_tokens, usage.completion_tokens)
            if self._chat and (prompt := event.get("prompt_token_ids")):
                self._prompt = checked_ids(prompt)
            for choice in event["choices"]:
                ids = [] if self._opens(choice) else list(self._dialect.ids(choice))
                self._count += len(ids)
                self._choice(ids, choice)
            if self._dialect.generated(event) not in (None, self._count):
                raise ValueError("some ids are missing")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise engine_failed(
                self._endpoint,
                "sent an event without the ids of its tokens; it must know return_token_ids",
            ) from error

    def _opens(self, choice: dict[str, Any]) -> bool:
        """Whether it is the event before a chat's first token, which only names the role."""
        return self._chat and "role" in choice["delta"] and not choice.get("token_ids")

    def _choice(self, ids: list[int], choice: dict[str, Any]) -> None:
        reason, stop = choice.get("finish_reason"), choice.get("stop_reason")
        text = choice["delta"].get("content") if self._chat else choice.get("text")
        if ids or reason or text:
            prompt, self._prompt = self._prompt, ()
            self._ready.append(
                Batch(
                    ids=ids,
                    reason=reason if isinstance(reason, str) else None,
                    stop=stop if isinstance(stop, str | int) else None,
                    text=text if isinstance(text, str) else "",
                    prompt=prompt,
                )
            )
