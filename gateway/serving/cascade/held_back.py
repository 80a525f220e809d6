"""Pieces of a lower tier's stream on their way out, as far as they may go already."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.cascade.hold_back import HoldBack
from gateway.core.cascade.stop_texts import StopScanner
from gateway.serving.cascade.answers import AnswerPiece
from gateway.serving.chat.reply import Reply


async def send_text(reply: Reply, text: str, token_ids: Sequence[int], model: str) -> None:
    """The reply begins with the first text that is certain to go out."""
    reply.model = model
    if text or token_ids:
        await reply.begin()
    await reply.text(text, token_ids)


@dataclass(slots=True, kw_only=True)
class HeldBackStream:
    """What has gone out: `ids` are those of whole pieces, `text` what they say, before any stop
    text is cut off. The reply's text is what `stops` lets through."""

    reply: Reply
    stops: StopScanner
    ids: list[int] = field(default_factory=list)
    text: str = ""
    tokens: int = 0
    _waiting: deque[AnswerPiece] = field(default_factory=deque)

    @property
    def stopped(self) -> bool:
        return self.stops.stopped is not None

    @property
    def begun(self) -> bool:
        return bool(self.ids or self.text)

    async def offer(self, piece: AnswerPiece, hold: HoldBack, model: str) -> None:
        """A further piece of the stream; sends those whose tokens are all free."""
        self._waiting.append(piece)
        free = hold.take(*piece.logprobs)
        place, ready = self.tokens, 0
        for number, each in enumerate(self._waiting, 1):
            place += each.tokens
            if place > free:
                break
            # Behind a piece without text a letter may be incomplete: no switch can be there.
            if each.text:
                ready = number
        for _ in range(ready):
            await self.send(self._waiting.popleft(), model)

    async def rest(self, model: str) -> None:
        """All that was withheld."""
        while self._waiting:
            await self.send(self._waiting.popleft(), model)

    def withheld(self) -> list[int]:
        """Gives the ids that were withheld, and forgets them."""
        ids = [token for piece in self._waiting for token in piece.ids]
        self._waiting.clear()
        return ids

    async def send(self, piece: AnswerPiece, model: str) -> None:
        if self.stopped:
            return
        self.ids += piece.ids
        self.tokens += piece.tokens
        self.text += piece.text
        await send_text(self.reply, self.stops.feed(piece.text), piece.ids, model)

    async def flush(self, model: str) -> None:
        """At the answer's end: what looked like the beginning of a stop text was none."""
        if not self.stopped and (held := self.stops.rest()):
            await send_text(self.reply, held, (), model)
