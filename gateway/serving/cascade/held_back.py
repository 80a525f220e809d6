"""The pieces of a lower tier's stream on their way to the caller: those that may not go out yet are
held back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.cascade.hold_back import HoldBack
from gateway.core.streams.stop_texts import StopScanner
from gateway.serving.cascade.answers import AnswerPiece
from gateway.serving.chat.message_parts import MessageParts
from gateway.serving.chat.reply import Reply


async def send_text(
    reply: Reply,
    text: str,
    token_ids: Sequence[int],
    model: str,
    parts: MessageParts | None = None,
) -> None:
    """The reply begins with the first piece that is certain to go out."""
    reply.model = model
    if text or token_ids or parts:
        await reply.begin()
    await reply.text(text, token_ids, parts)


@dataclass(slots=True, kw_only=True)
class HeldBackStream:
    """A stream whose pieces go to `reply` only as far as they are certain.

    Of what has gone out, `token_ids` are those of whole pieces, and `text` is what they say before
    a stop text is cut off; the reply's text is what the scanner lets through. `has_parts`: more
    than text has gone out.
    """

    reply: Reply
    scanner: StopScanner
    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    has_parts: bool = False
    _tokens: int = 0
    _waiting: deque[AnswerPiece] = field(default_factory=deque)

    @property
    def stopped_at(self) -> str | None:
        """The stop text that was found."""
        return self.scanner.stopped

    @property
    def begun(self) -> bool:
        return bool(self.token_ids or self.text)

    async def offer(self, piece: AnswerPiece, hold: HoldBack, model: str) -> None:
        """A further piece of the stream; sends those whose tokens are all free to go."""
        self._waiting.append(piece)
        free = hold.add(*piece.logprobs)
        tokens, ready = self._tokens, 0
        for number, waiting in enumerate(self._waiting, 1):
            tokens += waiting.tokens
            if tokens > free:
                break
            # After a piece without text a letter may be incomplete: no model can go on there.
            if waiting.text:
                ready = number
        for _ in range(ready):
            await self.send(self._waiting.popleft(), model)

    async def send_withheld(self, model: str) -> None:
        """Send all that was held back; the answer has been accepted."""
        while self._waiting:
            await self.send(self._waiting.popleft(), model)

    def pop_withheld_ids(self) -> list[int]:
        """The ids that were held back; they are forgotten here."""
        token_ids = [token for piece in self._waiting for token in piece.token_ids]
        self._waiting.clear()
        return token_ids

    async def send(self, piece: AnswerPiece, model: str) -> None:
        if self.stopped_at is not None:
            return
        self.token_ids += piece.token_ids
        self._tokens += piece.tokens
        self.text += piece.text
        self.has_parts = self.has_parts or piece.parts is not None
        text = self.scanner.feed(piece.text)
        await send_text(self.reply, text, piece.token_ids, model, piece.parts)

    async def finish(self, model: str) -> None:
        """At the answer's end, text that could have begun a stop text goes out as well."""
        if self.stopped_at is None and (text := self.scanner.rest()):
            await send_text(self.reply, text, (), model)
