"""Drafts that wait for their step: which of them continue what a request has already said.

Pure: no clock, no thread, nothing of vLLM. Positions count a request's output tokens from 0.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Branch:
    """A run of draft tokens: `tokens[0]` stands at output position `start`.

    `before` are the tokens that the drafter believes to stand right before `start`.
    """

    start: int
    tokens: list[int]
    before: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)


@dataclass(slots=True)
class Counts:
    """Draft tokens since the start, by what became of them before any verification."""

    received: int = 0
    offered: int = 0
    late: int = 0
    stale: int = 0
    crowded: int = 0
    unknown: int = 0


@dataclass
class Branches:
    """The newest branch of each session, bounded in sessions and in tokens a session.

    A session that is not claimed by a request is kept as well, as its drafts may arrive first;
    when there are too many, the one that was longest without news goes.
    """

    max_sessions: int = 4096
    max_tokens: int = 128
    counts: Counts = field(default_factory=Counts)
    _branches: OrderedDict[str, Branch] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._branches)

    def put(self, session: str, position: int, tokens: Sequence[int], before: Sequence[int]) -> None:
        """Append to the session's branch, or replace it from `position` on.

        A branch that begins elsewhere (before the present one, or after a gap) replaces it whole.
        """
        self.counts.received += len(tokens)
        branch = self._branches.get(session)
        if branch is not None and branch.start <= position <= branch.end:
            del branch.tokens[position - branch.start :]
            branch.tokens.extend(tokens)
        else:
            branch = Branch(position, list(tokens), tuple(before))
            self._branches[session] = branch
            if len(self._branches) > self.max_sessions:
                _, oldest = self._branches.popitem(last=False)
                self.counts.crowded += len(oldest.tokens)
        self._branches.move_to_end(session)
        excess = len(branch.tokens) - self.max_tokens
        if excess > 0:
            del branch.tokens[self.max_tokens :]
            self.counts.crowded += excess

    def take(self, session: str, said: Sequence[int], limit: int) -> list[int]:
        """Up to `limit` draft tokens that continue `said`, all of the request's output so far.

        Tokens that have been said in the meantime are dropped from the branch. A branch that
        contradicts what was said is forgotten: whatever follows a wrong token is worthless.
        """
        branch = self._branches.get(session)
        if branch is None or branch.start > len(said):
            return []
        overlap = said[branch.start : branch.end]
        ahead = said[max(0, branch.start - len(branch.before)) : branch.start]
        if branch.tokens[: len(overlap)] != list(overlap) or not _ends_with(branch.before, ahead):
            self.counts.stale += len(branch.tokens)
            del self._branches[session]
            return []
        if overlap:
            self.counts.late += len(overlap)
            del branch.tokens[: len(overlap)]
            branch.start += len(overlap)
            branch.before = ()
        drafts = branch.tokens[: max(0, limit)]
        self.counts.offered += len(drafts)
        return drafts

    def forget(self, session: str) -> None:
        """The session is over."""
        self._branches.pop(session, None)


def _ends_with(believed: tuple[int, ...], said: Sequence[int]) -> bool:
    """Whether the last tokens agree, as far back as both know them."""
    length = min(len(believed), len(said))
    return length == 0 or list(believed[-length:]) == list(said[-length:])
