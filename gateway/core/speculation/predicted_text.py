"""A text that an answer is predicted to be, aligned with the answer as it comes: what of it is to
be offered as drafts, and where.

While the answer follows the text, the rest of it is offered. After a difference the text is found
again: where as many tokens were replaced, or none, or where the answer's last tokens stand, as
prompt-lookup decoding finds them (Saxena, 2023), by an index of pairs. Several places may be
offered at once, as branches of which the engine follows the one that comes true.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.core.speculation.job import DraftRun

BEFORE = 4
"""Ids before a run that tell which text it continues."""
REACH = 128
"""Tokens that are offered beyond the answer at most; the next are offered when half of them are
used."""
NEAR = 8
"""A single token, which may stand anywhere by chance, is looked for only so close to where it
should be; and so many tokens of the answer that the text lacks may be an insertion."""
CLOSEST = 4
"""Places of a pair that are looked at on each side of where it should be."""
LONGEST = 8
"""Tokens before a place that are compared with the answer's last ones at most."""
INDEXED = 8192
"""Pairs that one call adds to the index at most: other answers wait meanwhile."""
PATIENCE = 4
"""Offers in a row that were wrong before only longer matches are offered."""


@dataclass(slots=True)
class Alignment:
    """A place in the text, `place`, where the answer's next token may stand. It began at `begin`,
    and is offered for the answer's positions below `offered`."""

    place: int
    begin: int
    offered: int


@dataclass(slots=True, kw_only=True)
class PredictedText:
    """The alignment of one answer with its predicted text `ids`. An engine verifies `per_step`
    drafts a step, at least one.

    `starts`: the answer is expected to begin as the text does; else the text is what it may quote.
    `answer` are the ids so far, and `came` says of those of the last `advance` which came as they
    were predicted. `accepted` counts tokens of the text that came where they were
    predicted, each once. A call of `advance` costs constant time for each of its ids, and gives at
    most REACH ids and some short branches; the index is built from the first difference on, in
    pieces.
    """

    ids: Sequence[int]
    per_step: int
    starts: bool = True
    answer: list[int] = field(default_factory=list)
    came: list[bool] = field(default_factory=list)
    accepted: int = 0
    _kept: bytearray = field(default_factory=bytearray)
    _alignments: list[Alignment] = field(default_factory=list)
    _pairs: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    _indexed: int = 0
    _anchor: int = 0
    _since: int = 0
    _misses: int = 0
    _streak: int = 0

    def __post_init__(self) -> None:
        self._kept = bytearray(len(self.ids))
        if self.starts:
            self._alignments = [] if not self.ids else [Alignment(place=0, begin=0, offered=0)]
        else:
            # No place is expected, and no single token tells one.
            self._since, self._misses = NEAR, PATIENCE

    @property
    def rejected(self) -> int:
        """Tokens of the text that did not come where they were predicted, so far."""
        return len(self.ids) - self.accepted

    def begin(self) -> list[DraftRun]:
        """What is to be offered before anything of the answer is there."""
        return self._extension()

    def advance(self, ids: Sequence[int]) -> list[DraftRun]:
        """Go on by the answer's next ids; gives what is to be offered anew."""
        lost = not self._alignments
        self.came = [self._follow(token) for token in ids]
        lost = lost or not all(self.came)
        if self._alignments and not lost:
            return self._extension()
        return self._realign()

    def _follow(self, token: int) -> bool:
        """Append one token to the answer; whether it was predicted."""
        self.answer.append(token)
        text = self.ids
        held = [one for one in self._alignments if text[one.place] == token]
        if held:
            place = held[0].place
            self.accepted += not self._kept[place]
            self._kept[place] = 1
            self._streak += 1
            if self._streak >= PATIENCE:
                self._misses = 0
            for one in held:
                one.place += 1
            self._anchor, self._since = place + 1, 0
            self._alignments = [one for one in held if one.place < len(text)]
            return True
        if self._alignments:
            self._misses += 1
            self._alignments = []
        self._streak = 0
        self._since += 1
        return False

    def _realign(self) -> list[DraftRun]:
        """The places where the answer may go on now, as branches: the likeliest first."""
        position, before = len(self.answer), self.answer[-BEFORE:]
        runs: list[DraftRun] = []
        found: list[Alignment] = []
        length, places = self._places()
        reach = REACH
        if self._misses > 1:
            # What was wrong again is offered in small pieces, unless much speaks for it.
            reach = max(2, self.per_step >> (0 if length >= PATIENCE else self._misses - 1))
        for place in places:
            ids = self.ids[place : place + (reach if not found else min(reach, self.per_step))]
            found.append(Alignment(place=place, begin=place, offered=position + len(ids)))
            runs.append((position, list(ids), before))
        self._alignments = found
        return runs

    def _places(self) -> tuple[int, list[int]]:
        """Where the answer may go on, the likeliest first, each once; and how many of the answer's
        last tokens stand before the first of them."""
        expected = self._anchor + self._since
        length, place = self._longest_match(expected)
        needed = 2 if self._misses <= PATIENCE else 3 if self._misses <= 3 * PATIENCE else 4
        length = length if length >= needed else 0
        places = [place] if length else []
        if self._misses <= PATIENCE and self._since <= NEAR:
            token = self.answer[-1]
            after = self.ids[self._anchor : self._anchor + NEAR]
            # Left out, replaced, or put in between.
            places += [self._anchor + after.index(token) + 1] if token in after else []
            places += [expected, self._anchor]
        inside = (one for one in places if 0 <= one < len(self.ids))
        return length, list(dict.fromkeys(inside))

    def _longest_match(self, expected: int) -> tuple[int, int]:
        """How many of the answer's last tokens stand before a place in the text, at most LONGEST,
        and that place: the one with most of them, of equals the closest to where it should be."""
        answer = self.answer
        if len(answer) < 2:
            return 0, 0
        places = self._index().get((answer[-2], answer[-1]), [])
        middle = bisect_left(places, expected)
        close = places[max(0, middle - CLOSEST) : middle + CLOSEST]
        found = [(self._agreement(place), -abs(place - expected), place) for place in close]
        length, _, place = max(found, default=(0, 0, 0))
        return length, place

    def _agreement(self, place: int) -> int:
        most = min(LONGEST, place, len(self.answer))
        for back in range(1, most + 1):
            if self.ids[place - back] != self.answer[-back]:
                return back - 1
        return most

    def _index(self) -> dict[tuple[int, int], list[int]]:
        """By two neighbours, the places behind them; of a large text as far as it has come."""
        begin = self._indexed
        if begin + 1 < len(self.ids):
            self._indexed = min(begin + INDEXED, len(self.ids) - 1)
            ids = self.ids[begin : self._indexed + 1]
            for place, pair in enumerate(zip(ids, ids[1:], strict=False), begin + 2):
                self._pairs.setdefault(pair, []).append(place)
        return self._pairs

    def _extension(self) -> list[DraftRun]:
        """What of the likeliest place's text is to be offered next; mostly nothing."""
        if not self._alignments:
            return []
        lead, position = self._alignments[0], len(self.answer)
        if lead.offered - position > REACH // 2:
            return []
        ahead = max(0, lead.offered - position)
        start = lead.place + ahead
        ids = self.ids[start : start + REACH - ahead]
        if not ids:
            return []
        lead.offered = position + ahead + len(ids)
        before = [*self.answer[-BEFORE:], *self.ids[lead.place : start]][-BEFORE:]
        return [(position + ahead, list(ids), before)]
