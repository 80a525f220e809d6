"""Server-sent events of a streamed answer: the tokens in them, and when they came."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

DONE = "[DONE]"


class EventParser:
    """Cuts a byte stream into the `data` of its events (WHATWG HTML, section 9.2).

    Of an event's fields only `data` is kept; its lines are joined with a newline. Line ends are
    LF or CR LF.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        events = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                text = line[len(b"data:") :].removeprefix(b" ")
                self._data.append(text.decode("utf-8", "replace"))
            elif not line and self._data:
                events.append("\n".join(self._data))
                self._data = []
        return events


@dataclass(slots=True)
class StreamedAnswer:
    """Follows one streamed chat or text completion. Times are seconds on the caller's clock.

    `token_times` has one entry per event that carries text: exact for engines that send an
    event per token. `tokens` is the engine's own count, where the request asked for usage.
    """

    sent: float
    token_times: list[float] = field(default_factory=list)
    text: str = ""
    error: str | None = None
    complete: bool = False
    _usage: int | None = None
    _parser: EventParser = field(default_factory=EventParser)

    def observe(self, now: float, chunk: bytes) -> None:
        """Take in the next bytes, which arrived at `now`."""
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
        if usage := event.get("usage"):
            self._usage = usage.get("completion_tokens")
        for choice in event.get("choices", []):
            if text := token_text(choice):
                self.token_times.append(now)
                self.text += text

    @property
    def tokens(self) -> int:
        return len(self.token_times) if self._usage is None else self._usage

    @property
    def ttft(self) -> float | None:
        """Seconds from sending to the first token; None without one."""
        return self.token_times[0] - self.sent if self.token_times else None

    @property
    def itl(self) -> list[float]:
        """Seconds between neighbouring tokens."""
        pairs = zip(self.token_times, self.token_times[1:], strict=False)
        return [later - earlier for earlier, later in pairs]

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
    answer = StreamedAnswer(sent)
    for now, piece in pieces:
        answer.observe(now, piece)
    return answer


def token_text(choice: dict[str, Any]) -> str:
    """The text that a chunk's choice adds, "" if none: of a chat (`delta`) or a completion."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta.get("content") or delta.get("reasoning_content") or ""
    return choice.get("text") or ""


def _message(event: object) -> str:
    error = event.get("error") if isinstance(event, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or "an event is not a JSON object")
