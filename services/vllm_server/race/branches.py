"""Drafts that wait for their step: which of them continue the output of a request so far.

Pure: no clock, no thread, nothing of vLLM. Positions count a request's output tokens from 0. The
drafts of a session form trees (`race.tree`); of several branches the one that came first is tried
first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.vllm_server.race.counts import Counts
from services.vllm_server.race.session import DraftSession
from services.vllm_server.race.tree import Node


@dataclass(kw_only=True)
class Branches:
    """The drafts of every session, bounded in sessions, texts that they continue, and tokens.

    A session that no request has claimed yet is kept as well, as its drafts may arrive first.
    Drafts that find no room are lost, rather than older ones: these are nearest to their step.
    """

    max_sessions: int = 4096
    max_grounds: int = 64
    max_tokens: int = 2048
    counts: Counts = field(default_factory=Counts)
    _sessions: dict[str, DraftSession] = field(default_factory=dict)
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._sessions)

    def claim(self, session: str) -> bool:
        """A request begins, whose session this is. False if another one has it already."""
        entry = self._sessions.get(session)
        if entry is None:
            entry = self._begin(session)
        if entry is None or entry.claimed:
            return False
        self._ended.pop(session, None)
        entry.claimed = True
        return True

    def put(
        self,
        session: str,
        position: int,
        tokens: Sequence[int],
        before: Sequence[int],
        now: int = 0,
    ) -> None:
        """Keep `tokens`, which stand from `position` on, after a text that ends with `before`.

        They extend the branch whose text they continue, or fork from it where they contradict
        it; where they continue none, they begin a branch. `now` in microseconds.
        """
        self.counts.received += len(tokens)
        if session in self._ended:
            self.counts.ended += len(tokens)
            return
        entry = self._sessions.get(session) or self._begin(session)
        if entry is None:
            self.counts.crowded += len(tokens)
            return
        entry.put(position, tokens, before, now)

    def take(self, session: str, output: Sequence[int], limit: int, now: int = 0) -> list[int]:
        """All that is `waiting`, offered."""
        return self.offer(session, self.waiting(session, output, limit), now)

    def waiting(self, session: str, output: Sequence[int], limit: int) -> list[Node]:
        """Up to `limit` drafts that continue `output`, all of the request's tokens so far.

        Tokens that were generated in the meantime are dropped. A branch that contradicts the
        output is forgotten: whatever follows a wrong token is worthless.
        """
        entry = self._sessions.get(session)
        return [] if entry is None else entry.waiting(output, limit)

    def offer(self, session: str, path: Sequence[Node], now: int = 0) -> list[int]:
        """A step takes these, which were `waiting`, for verification; gives their tokens."""
        entry = self._sessions.get(session)
        return [] if entry is None else entry.offer(path, now)

    def forget(self, session: str) -> None:
        """The session is over; what still comes for it is dropped."""
        entry = self._sessions.pop(session, None)
        if entry is not None:
            entry.drop()
        self._ended[session] = None
        if len(self._ended) > self.max_sessions:
            self._ended.popitem(last=False)

    def expire(self) -> None:
        """Forget the sessions that nobody has claimed since the last call or before."""
        aged = [name for name, entry in self._sessions.items() if entry.aged and not entry.claimed]
        for name in aged:
            self.forget(name)
        for entry in self._sessions.values():
            entry.aged = True

    def _begin(self, session: str) -> DraftSession | None:
        if len(self._sessions) >= self.max_sessions:
            return None
        return self._sessions.setdefault(
            session, DraftSession(self.counts, self.max_tokens, self.max_grounds)
        )
