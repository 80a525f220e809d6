"""One run of draft tokens, and which of several runs new tokens continue. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_BEFORE = 16


@dataclass(slots=True)
class Branch:
    """A run of draft tokens: `tokens[0]` stands at output position `start`.

    `before` are the tokens that the drafter believes to stand right before `start`. Positions
    from `fresh` on have not been counted by any fate yet; `arrived` is when the first of them came.
    """

    start: int
    tokens: list[int]
    before: tuple[int, ...]
    fresh: int
    arrived: int

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    def uncounted(self, until: int) -> int:
        """How many tokens before position `until` have met no fate yet; now they have."""
        number = max(0, min(until, self.end) - self.fresh)
        self.fresh += number
        return number


def best_trunk(
    branches: Sequence[Branch], position: int, tokens: Sequence[int], before: Sequence[int]
) -> tuple[Branch | None, int]:
    """The branch that repeats or leads up to the most of `tokens`, and how many it repeats."""
    best, most = None, -1
    for branch in branches:
        if not branch.start <= position <= branch.end:
            continue
        at = position - branch.start
        known = [*branch.before, *branch.tokens[:at]]
        if not ends_alike(known, before):
            continue
        agreed = 0
        for held, new in zip(branch.tokens[at:], tokens, strict=False):
            if held != new:
                break
            agreed += 1
        # Where nothing tells two branches apart, what ends here is continued rather than forked.
        ends = at + agreed == len(branch.tokens)
        if (score := 2 * agreed + ends) > most:
            best, most = branch, score
    return best, max(0, most) // 2


def ends_alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether the last tokens agree, as far back as both are known."""
    length = min(len(one), len(other))
    return length == 0 or list(one[-length:]) == list(other[-length:])
