"""Who of a chain wrote a token first: the tiers are numbered, from the device on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.core.speculation.job import DraftRun

AHEAD = 512
"""Positions beyond the last verified one for which it is remembered who wrote there."""
VARIANTS = 8
"""Different ids that are remembered for one position."""


@dataclass(slots=True, kw_only=True)
class Writers:
    """The ids that each place of a chain has offered for the positions to come. `last` is the place
    of who decides: what nobody offered is its own. `length`: how many ids are decided."""

    last: int
    length: int = 0
    _known: dict[int, dict[int, int]] = field(default_factory=dict)

    def offered(self, place: int, runs: Iterable[DraftRun]) -> None:
        """The tier at `place` offers these."""
        for position, ids, _ in runs:
            for where, token in enumerate(ids, position):
                if self.length <= where < self.length + AHEAD:
                    known = self._known.setdefault(where, {})
                    if len(known) < VARIANTS:
                        known.setdefault(token, place)

    def decided(self, ids: Sequence[int]) -> list[int]:
        """The next ids are decided: who wrote each of them first, as a place."""
        writers = []
        for token in ids:
            known = self._known.pop(self.length, None)
            writers.append(self.last if known is None else known.get(token, self.last))
            self.length += 1
        return writers
