"""Streamed answers: server-sent events, what they hold of an answer, and when they came."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DONE = "[DONE]"


class EventParser:
    """A parser of server-sent events (WHATWG HTML, section 9.2): of bytes it makes each `data`.

    Of an event's fields only `data` is given; its lines are joined with a newline. `last_id` is
    the id of the last event that was complete. Line ends are LF or CR LF.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._id = self.last_id = ""

    @property
    def unfinished(self) -> bool:
        """Whether an event has begun that is not complete."""
        return bool(self._rest or self._data)

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        events = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                text = line[len(b"data:") :].removeprefix(b" ")
                self._data.append(text.decode("utf-8", "replace"))
            elif line.startswith(b"id:"):
                self._id = line[len(b"id:") :].removeprefix(b" ").decode("utf-8", "replace")
            elif not line:
                self.last_id = self._id
                if self._data:
                    events.append("\n".join(self._data))
                    self._data = []
        return events


@dataclass(slots=True, kw_only=True)
class StreamedAnswer:
    """A streamed chat or text completion, as its events come in.

    Times are seconds on the caller's clock. `token_times` has one entry per event that carries
    text: exact for engines that send an event per token. `id_chunks` are (time, token ids) of each
    event that carries ids, where the request asked for `return_token_ids`. `completion_tokens` is
    the engine's own count, where the request asked for usage. `tierflow` is what the gateway tells
    of the answer.
    """

    sent: float
    token_times: list[float] = field(default_factory=list)
    text: str = ""
    model: str = ""
    id_chunks: list[tuple[float, list[int]]] = field(default_factory=list)
    prompt_ids: Sequence[int] = ()
    finish_reason: str | None = None
    completion_tokens: int | None = None
    tierflow: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    complete: bool = False
    _parser: EventParser = field(default_factory=EventParser)

    def observe(self, now: float, chunk: bytes) -> None:
        """Read the next bytes, which arrived at `now`."""
        for data in self._parser.feed(chunk):
            if data == DONE:
                self.complete = True
            else:
                self._event(now, data)

    def _event(self, now: float, data: str) -> None:
        try:
            event = json.loads(data)
        except ValueError:
            self.error = "an event is not valid JSON"
            return
        if not isinstance(event, dict) or "error" in event:
            self.error = _message(event)
            return
        self.model = event.get("model") or self.model
        self.prompt_ids = event.get("prompt_token_ids") or self.prompt_ids
        self.tierflow = {**self.tierflow, **(event.get("tierflow") or {})}
        if usage := event.get("usage"):
            self.completion_tokens = usage.get("completion_tokens")
        for choice in event.get("choices") or []:
            self._choice(now, choice)

    def _choice(self, now: float, choice: Mapping[str, Any]) -> None:
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        if text := token_text(choice):
            self.token_times.append(now)
            self.text += text
        if ids := choice.get("token_ids"):
            self.id_chunks.append((now, list(ids)))

    @property
    def tokens(self) -> int:
        return len(self.token_times) if self.completion_tokens is None else self.completion_tokens

    @property
    def ttft(self) -> float | None:
        """Seconds from sending to the first token; None without one."""
        return self.token_times[0] - self.sent if self.token_times else None

    @property
    def itl(self) -> list[float]:
        """Seconds between neighbouring tokens."""
        return gaps(self.token_times)

    @property
    def tpot(self) -> float | None:
        """Mean seconds per token after the first; None below two tokens."""
        if self.tokens < 2 or len(self.token_times) < 2:
            return None
        return (self.token_times[-1] - self.token_times[0]) / (self.tokens - 1)

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens over the time from sending to the last one; None without any."""
        return self.tokens / (self.token_times[-1] - self.sent) if self.token_times else None


def followed(sent: float, pieces: Iterable[tuple[float, bytes]]) -> StreamedAnswer:
    """The answer that arrived as these (time, bytes)."""
    answer = StreamedAnswer(sent=sent)
    for now, piece in pieces:
        answer.observe(now, piece)
    return answer


def gaps(times: Sequence[float]) -> list[float]:
    """Seconds between neighbours."""
    return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]


def token_text(choice: Mapping[str, Any]) -> str:
    """The text that a chunk's choice adds, "" if none: of a chat (`delta`) or a completion."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta.get("content") or delta.get("reasoning_content") or ""
    return choice.get("text") or ""


def _message(event: object) -> str:
    error = event.get("error") if isinstance(event, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or "an event is not a JSON object")
