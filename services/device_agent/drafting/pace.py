"""How far to draft ahead, and whether drafting pays at all. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_WINDOW = 4
MAX_WINDOW = 64

BEGIN_ABOVE = 1.12
END_BELOW = 1.06
"""Drafting must promise this much to be begun, and less to be given up: no flutter at the edge."""

ROW_SHARE = 0.02
"""What one more draft token costs a verifying step, as a share of a step. A cautious figure: with
the shipped family on a CPU, 16 rows cost a step 4 to 6 percent; a larger model's rows cost more."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What has been measured of one session's partners.

    `acceptance` is the share of draft tokens found right where all before them were (0 to 1),
    `second` the chance that a sent alternative is right where the first guess was wrong; the rest
    are seconds: the device's time for a draft token, the verifier's step, the link's round trip.
    `per_step` is the most draft tokens that the verifier takes in a step.
    """

    acceptance: float
    second: float
    draft_s: float
    step_s: float
    round_trip_s: float
    per_step: int


def expected_speedup(pace: Pace) -> float:
    """Tokens a second with drafts, over those without, when the verifier never waits.

    After a mismatch that no alternative covers, the verifier is alone until the device, which
    learns of it half a round trip later and drafts faster than the verifier decodes, has caught
    up and its drafts have crossed the link: `blind` tokens. From there on tokens come at the pace
    of the slower of drafting and verifying, until the next such mismatch. Runs are geometric
    (independent acceptance: Leviathan et al. 2023, section 3.1), so the expectation has a closed
    form. What is drafted in vain costs rows of the verifying steps.
    """
    if pace.draft_s >= pace.step_s or pace.acceptance <= 0 or pace.per_step < 1:
        return 1.0
    right = pace.acceptance + (1 - pace.acceptance) * pace.second
    right = min(right, 0.9999)
    blind = pace.round_trip_s / (pace.step_s - pace.draft_s)
    run = right / (1 - right)
    alone = run * (1 - right**blind)
    helped = run * right**blind
    rows = min(pace.per_step, 1 / (1 - min(pace.acceptance, 0.99)))
    verifying_s = pace.step_s * (1 + ROW_SHARE * rows)
    taken = min(pace.per_step, run) + 1
    together_s = max(pace.draft_s, verifying_s / taken)
    wasted_s = ROW_SHARE * rows * pace.step_s
    spent_s = (alone + 1) * pace.step_s + helped * together_s + wasted_s
    speedup: float = (run + 1) * pace.step_s / spent_s
    return speedup


def pays(pace: Pace, drafting: bool) -> bool:
    """Whether to draft, given whether one does at present."""
    return expected_speedup(pace) > (END_BELOW if drafting else BEGIN_ABOVE)


def window(pace: Pace) -> int:
    """Unverified tokens to be ahead at most, so that the verifier never lacks any.

    What it can confirm in a round trip and two steps (one that runs, one to come); but no
    further than where one branch in twenty is still right, as the rest would be thrown away.
    """
    token_s = max(pace.draft_s, pace.step_s / (pace.per_step + 1), 1e-6)
    needed = (pace.round_trip_s + 2 * pace.step_s) / token_s
    right = pace.acceptance + (1 - pace.acceptance) * pace.second
    right = min(max(right, 0.01), 0.9999)
    worthwhile = math.log(0.05) / math.log(right)
    return int(min(max(min(needed, worthwhile), MIN_WINDOW), MAX_WINDOW))
