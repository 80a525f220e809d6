"""One answer and its drafts: what is verified, which drafts may pass, which of them came true.

It holds all that another replica or tier would need to go on: prompt, verified ids, sampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.speculation.job import DraftRun
from gateway.core.speculation.run_of_rest import run_of_rest

AHEAD = 512
"""Positions beyond the last verified one up to which drafts may begin."""
BEHIND = 4096
"""Positions before the last verified one to which drafts may reach back. A link with a round trip
of 4 s to an engine with 1000 tokens/s brings drafts as late as that; later ones are no accident."""
BRANCHES = 8
"""Different drafts that are remembered for one position; more pass, but are not counted."""


class DraftRefused(Exception):
    """A draft that no honest device sends. `code` is position_ahead, position_behind or
    id_beyond_vocabulary."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one batch of verified ids says about the drafts.

    `position`: of its first id. `drafted`: how many of its first ids had been drafted. `accepted`:
    how many came true from a draft. `refused`: the place in the batch where a draft stood that
    was wrong, None if there was none. `age_s`: from forwarding the first accepted one until now.
    """

    position: int
    tokens: int
    drafted: int
    accepted: int
    refused: int | None
    age_s: float | None


@dataclass(slots=True, kw_only=True)
class SessionState:
    """An answer so far, and the drafts for it that are on their way to the verifier.

    `vocabulary`: ids are below it; None when unknown. Counts are in tokens. `resumed_at`: the
    output position from which on the engine that answers now makes the answer; what stands before
    came from others, and is a part of its prompt.
    """

    prompt: Sequence[int]
    sampling: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: int | None = None
    verified: list[int] = field(default_factory=list)
    drafted: int = 0
    accepted: int = 0
    steps: int = 0
    resumed_at: int = 0
    _forwarded: dict[int, dict[int, float]] = field(default_factory=dict)

    def check(self, position: int, ids: Sequence[int]) -> bool:
        """Whether a draft for output positions from `position` on can still be of use.

        Raises DraftRefused for what can't come from a device that follows its answer.
        """
        done = len(self.verified)
        if position > done + AHEAD:
            raise DraftRefused(
                "position_ahead", f"p is {position}, with {done} verified; at most {AHEAD} beyond"
            )
        if position < done - BEHIND:
            raise DraftRefused(
                "position_behind", f"p is {position}, with {done} verified; at most {BEHIND} back"
            )
        if self.vocabulary is not None and max(ids) >= self.vocabulary:
            raise DraftRefused("id_beyond_vocabulary", f"i: ids are below {self.vocabulary}")
        return position + len(ids) > done

    def resume(self) -> None:
        """Another engine goes on with the answer. It has none of the drafts so far."""
        self.resumed_at = len(self.verified)
        self._forwarded.clear()

    def engine_run(
        self, position: int, ids: Sequence[int], before: Sequence[int]
    ) -> DraftRun | None:
        """A draft that stands from output position `position` on, after `before`, as the engine
        that answers now counts positions. None where it contradicts, or ends within, what came
        before that engine."""
        return run_of_rest((position, ids, before), self.verified, self.resumed_at)

    def forwarded(self, position: int, ids: Sequence[int], now: float) -> None:
        """Remember a draft that is on its way to the verifier since `now` (seconds)."""
        self.drafted += len(ids)
        done = len(self.verified)
        for place, token in enumerate(ids, position):
            if place >= done:
                known = self._forwarded.setdefault(place, {})
                if len(known) < BRANCHES:
                    known.setdefault(token, now)

    def commit(self, ids: Sequence[int], now: float) -> Step:
        """Append the ids that one step verified; all but the last may have been drafts."""
        position, last = len(self.verified), len(ids) - 1
        accepted = drafted = 0
        refused: int | None = None
        age: float | None = None
        for place, token in enumerate(ids):
            known = self._forwarded.pop(position + place, None)
            since = known.get(token) if known else None
            if place == last:
                refused = place if known and since is None else None
            elif since is not None:
                drafted += place == drafted
                accepted += 1
                age = now - since if age is None else age
        self.verified.extend(ids)
        self.accepted += accepted
        self.steps += 1
        return Step(
            position=position,
            tokens=len(ids),
            drafted=drafted,
            accepted=accepted,
            refused=refused,
            age_s=age,
        )
