"""When the first answers are enough, so that nobody needs to wait for the others."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.collective.early_exit import Exit, could_agree, early_exit
from gateway.core.collective.options import VOTES, Aggregate, Options
from gateway.core.collective.report import Part, best_heard
from gateway.core.collective.voting import Agree, Ballot, best_first, equal
from gateway.serving.collective.best_of_n import BestOfN


class StopCondition:
    """Looks at the answers of one request as they come. `quorum`: answers that are needed.
    `weighing`: answers that differ are weighed by it; None: they are not."""

    def __init__(
        self, *, options: Options, quorum: int, agree: Agree, weighing: BestOfN | None
    ) -> None:
        self._options = options
        self._quorum = quorum
        self._agree = agree
        self._weighing = weighing

    def __call__(self, parts: Sequence[Part], merits: Sequence[float]) -> Exit | None:
        """`merits` are of those still asked: the most that their answers can weigh."""
        ballots = [part.ballot() for part in parts if part.answered]
        outstanding = sum(merits)
        if self._options.aggregate is Aggregate.MAJORITY:
            ballots, outstanding = equal(ballots), float(len(merits))
        if self._options.aggregate in (Aggregate.AUTO, *VOTES):
            found = early_exit(
                ballots,
                outstanding,
                quorum=self._quorum,
                agreement=self._options.agreement,
                decisive=self._options.aggregate in VOTES,
                best_heard=best_heard(parts, merits),
                agree=self._agree,
            )
            if found is not None:
                return found
        return None if self._weighing is None else self._weighed(ballots, merits)

    def _weighed(self, ballots: Sequence[Ballot], merits: Sequence[float]) -> Exit | None:
        assert self._weighing is not None
        winner = self._weighing.look(best_first(ballots), merits)
        if winner is None or self._options.rounds > 0:
            # A round of revision is to hear everybody.
            return None
        if self._options.aggregate is Aggregate.AUTO and could_agree(
            ballots, winner, sum(merits), self._options.agreement, self._agree
        ):
            return None
        return Exit.DECIDED
