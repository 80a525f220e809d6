"""The lead of a tier in the middle: what it has written beyond the text of the tier above.

A tier in the middle writes an answer by itself, as fast as it can, and offers it as drafts to the
tier above, which decides. Where that decides otherwise, what the middle has written from there on
is void, and it goes on from the text as it is above. An engine can't take back what it has said, so
its stream is ended and a new one begun (hierarchical speculation as in Sun et al., "TriForce",
2024, over a network).

Positions count the answer's ids from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.speculation.job import DraftRun

LIMIT = 64
"""Ids that a lead has at most. An id that far ahead has come true only if all those before it did,
and the engine's work on it is lost otherwise."""

RESUME = 32
"""At this lead a stream that was ended because of the limit is begun again."""

BEFORE = 4
"""Ids before a run that tell which text it continues."""


@dataclass(slots=True, kw_only=True)
class Lead:
    """A text that two write: the tier above its first `confirmed` ids, the middle the rest, from
    streams one after the other.

    `most` is how many ids the answer may have, None: no limit is known. `streaming`: a stream is
    under way that continues the text. `at` is how far it has come, of which it has made what stands
    from `start` on. It may be behind the tier above, and catches up by drafts.
    """

    most: int | None = None
    limit: int = LIMIT
    resume: int = RESUME
    text: list[int] = field(default_factory=list)
    confirmed: int = 0
    streaming: bool = False
    start: int = 0
    at: int = 0
    _paused: bool = False
    _ended: bool = False

    @property
    def size(self) -> int:
        return len(self.text) - self.confirmed

    @property
    def room(self) -> int | None:
        """How many ids a stream that begins now may give; None: no limit is known."""
        return None if self.most is None else max(0, self.most - len(self.text))

    @property
    def wants_stream(self) -> bool:
        """Whether a stream is to be begun now."""
        if self.streaming or self._ended or self.room == 0:
            return False
        return self.size <= (self.resume if self._paused else self.limit - 1)

    def begin(self) -> None:
        """A stream begins, which continues the text as it is now."""
        self.streaming, self._paused = True, False
        self.start = self.at = len(self.text)

    def write(self, ids: Sequence[int]) -> Sequence[int]:
        """The stream's next ids. Gives those that are new, for the positions before `at`; what is
        beyond the limit is not kept. Where `streaming` is False then, the stream is to be ended."""
        for number, token in enumerate(ids):
            if self.at == len(self.text):
                return self._append(ids[number:])
            if self.text[self.at] != token:
                self.streaming = False
                break
            self.at += 1
        return ()

    def finish(self) -> None:
        """The stream has said its last word: the answer ends there, if the tier above agrees."""
        if self.streaming:
            self.streaming = False
            self._ended = self.at == len(self.text)

    def drop(self) -> None:
        """The stream is lost. Another one may begin."""
        self.streaming = False

    def follow(self, position: int, ids: Sequence[int]) -> int | None:
        """The text of the tier above is from `position` on `ids`, and ends with them. Gives the
        first position at which the text has changed; None: all of `ids` were there. Where
        `streaming` is False then, a stream that was under way is to be ended.

        `position` is at most `confirmed`.
        """
        end = position + len(ids)
        changed = next(
            (
                place
                for place, token in enumerate(ids, position)
                if place >= len(self.text) or self.text[place] != token
            ),
            None,
        )
        if changed is not None:
            self._void(changed)
            self.text += ids[changed - position :]
        self.confirmed = end
        if self.size > self.limit:
            self._void(end + self.limit)
        return changed

    def catch_up(self) -> DraftRun | None:
        """What the tier above has written beyond the stream, as a draft for the stream; None: it is
        not behind."""
        if not self.streaming or self.at >= self.confirmed:
            return None
        end = min(self.confirmed, self.at + self.limit)
        return self.at - self.start, self.text[self.at : end], self._before(self.at, self.start)

    def upward(self, ids: Sequence[int]) -> DraftRun:
        """The last ids of the text as a draft for the tier above."""
        position = len(self.text) - len(ids)
        return position, list(ids), self._before(position)

    def _before(self, position: int, start: int = 0) -> list[int]:
        return self.text[max(start, position - BEFORE) : position]

    def _append(self, ids: Sequence[int]) -> Sequence[int]:
        kept = ids[: self.limit - self.size]
        self.text += kept
        self.at += len(kept)
        if self.size >= self.limit:
            self._paused, self.streaming = True, False
        return kept

    def _void(self, position: int) -> None:
        """The text from `position` on is not the text any more."""
        del self.text[position:]
        if self.at > position:
            self.streaming = self._ended = self._paused = False
        elif self._ended:
            # It ended where the tier above does not.
            self._ended = False
