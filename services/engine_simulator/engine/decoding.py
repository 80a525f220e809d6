"""One answer as a stream of tokens with their text: stop strings, end token, length limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from services.engine_simulator.engine.tokenizer import TextStream
from services.engine_simulator.engine.vocabulary import END_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one answer: when it ends. `max_tokens` counts the end token too."""

    max_tokens: int
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = frozenset()
    ignore_end: bool = False
    keep_stop: bool = False


class Token(NamedTuple):
    """A generated token. `text` is what it adds to the text that is certain.

    The last token carries a finish reason. `draw` is the random number that chose it.
    """

    id: int
    text: str
    draw: int
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _StopTexts:
    """The search for stop strings, and the text that may be the start of one."""

    def __init__(self, limits: Limits) -> None:
        self._stop = limits.stop
        self._keep_stop = limits.keep_stop
        self._hold = max(map(len, limits.stop), default=1) - 1
        self._text = ""

    def push(self, text: str, armed: bool) -> tuple[str, str | None]:
        """(text now safe to show, stop string that was met)."""
        if not self._stop:
            return text, None
        self._text += text
        matches = [(self._text.find(stop), stop) for stop in self._stop if stop in self._text]
        if matches and armed:
            at, stop = min(matches)
            return self._text[: at + len(stop) if self._keep_stop else at], stop
        cut = len(self._text) - self._hold
        if cut <= 0:
            return "", None
        shown, self._text = self._text[:cut], self._text[cut:]
        return shown, None

    def flush(self) -> str:
        text, self._text = self._text, ""
        return text


def decode_tokens(source: Iterator[tuple[int, int]], limits: Limits) -> Iterator[Token]:
    """Yields at least one token; exactly the last has a finish reason ("stop" or "length")."""
    text_stream, stops = TextStream(), _StopTexts(limits)
    for count, (token_id, draw) in enumerate(source, start=1):
        armed = count > limits.min_tokens
        if token_id == END_ID and not limits.ignore_end:
            yield Token(token_id, stops.flush() + text_stream.flush(), draw, "stop")
            return
        shown, met = stops.push(text_stream.push(token_id), armed)
        if met is not None:
            yield Token(token_id, shown, draw, "stop", met)
            return
        if token_id in limits.stop_token_ids and armed:
            yield Token(token_id, shown + stops.flush(), draw, "stop", token_id)
            return
        if count >= limits.max_tokens:
            yield Token(token_id, shown + stops.flush() + text_stream.flush(), draw, "length")
            return
        yield Token(token_id, shown, draw)
