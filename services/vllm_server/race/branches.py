"""Drafts that wait for their step: which of them continue what a request has already said.

Pure: no clock, no thread, nothing of vLLM. Positions count a request's output tokens from 0.

The drafts of a session form a tree, kept as the list of its branches: each branch holds its own
copy of what it shares with others, because a branch is short and a step must find its tokens
without a walk. The order is that of arrival, and the first branch that fits is the one tried.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.vllm_server.race.branch import MAX_BEFORE, Branch, best_trunk, ends_alike
from services.vllm_server.race.fates import Counts


@dataclass(slots=True)
class Session:
    branches: list[Branch] = field(default_factory=list)
    claimed: bool = False
    aged: bool = False

    def kept(self) -> int:
        return sum(len(branch.tokens) for branch in self.branches)


@dataclass
class Branches:
    """The drafts of every session, bounded in sessions, branches and tokens.

    A session that no request has claimed yet is kept as well, as its drafts may arrive first.
    What finds no room is lost, rather than anything older: the oldest stands nearest to its step.
    """

    max_sessions: int = 4096
    max_branches: int = 64
    max_tokens: int = 2048
    counts: Counts = field(default_factory=Counts)
    _sessions: dict[str, Session] = field(default_factory=dict)
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
        trunk, agreed = best_trunk(entry.branches, position, tokens, before)
        self.counts.repeated += agreed
        fresh, rest = position + agreed, list(tokens[agreed:])
        if not rest:
            return
        if trunk is not None and fresh == trunk.end:
            rest = self._fit(entry, rest, 0)
            if trunk.fresh == trunk.end:
                trunk.arrived = now
            trunk.tokens.extend(rest)
            return
        shared = [] if trunk is None else trunk.tokens[: fresh - trunk.start]
        rest = self._fit(entry, rest, len(shared), branches=1)
        if rest:
            start = position if trunk is None else trunk.start
            known = tuple(before)[-MAX_BEFORE:] if trunk is None else trunk.before
            entry.branches.append(Branch(start, shared + rest, known, fresh, now))

    def take(self, session: str, said: Sequence[int], limit: int, now: int = 0) -> list[int]:
        """Up to `limit` draft tokens that continue `said`, all of the request's output so far.

        Tokens that have been said in the meantime are dropped. A branch that contradicts what
        was said is forgotten: whatever follows a wrong token is worthless.
        """
        entry = self._sessions.get(session)
        if entry is None or not entry.branches:
            return []
        length = len(said)
        entry.branches = [branch for branch in entry.branches if self._stands(branch, said)]
        if limit <= 0:
            return []
        for branch in entry.branches:
            if branch.start == length:
                drafts = branch.tokens[:limit]
                fresh = branch.uncounted(length + len(drafts))
                if fresh:
                    self.counts.offers += 1
                    self.counts.age_us += max(0, now - branch.arrived)
                self.counts.offered += fresh
                return drafts
        return []

    def forget(self, session: str) -> None:
        """The session is over; what still comes for it is dropped."""
        entry = self._sessions.pop(session, None)
        if entry is not None:
            self.counts.unused += sum(branch.uncounted(branch.end) for branch in entry.branches)
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

    def _begin(self, session: str) -> Session | None:
        if len(self._sessions) >= self.max_sessions:
            return None
        return self._sessions.setdefault(session, Session())

    def _fit(self, entry: Session, tokens: list[int], shared: int, branches: int = 0) -> list[int]:
        """As many of the tokens as the session has room for, beside `shared` copied ones."""
        room = self.max_tokens - entry.kept() - shared
        if len(entry.branches) + branches > self.max_branches:
            room = 0
        fitting = tokens[: max(0, room)]
        self.counts.crowded += len(tokens) - len(fitting)
        return fitting

    def _stands(self, branch: Branch, said: Sequence[int]) -> bool:
        """Whether there is something left of the branch after `said`; drops what was said."""
        length = len(said)
        if branch.start > length:
            return True
        overlap = list(said[branch.start : branch.end])
        ahead = said[max(0, branch.start - len(branch.before)) : branch.start]
        if branch.tokens[: len(overlap)] != overlap or not ends_alike(branch.before, ahead):
            self.counts.stale += branch.uncounted(branch.end)
            return False
        if overlap:
            self.counts.late += branch.uncounted(length)
            del branch.tokens[: len(overlap)]
            branch.start += len(overlap)
            branch.before = tuple(said[max(0, branch.start - MAX_BEFORE) : branch.start])
        return bool(branch.tokens)
