"""How far to draft ahead, and whether drafting pays at all. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_WINDOW = 2
MAX_WINDOW = 64

# Drafting must promise this much to be begun, and less to be given up: no flutter at the edge.
BEGIN_ABOVE = 1.05
END_BELOW = 1.02


@dataclass(frozen=True, slots=True)
class Pace:
    """What has been measured of one session's partners.

    `acceptance` is the share of draft tokens found right where all before them were (0 to 1);
    the rest are seconds: the device's time for one draft token, the verifier's step, the link's
    round trip. `per_step` is the most draft tokens that the verifier takes in a step.
    """

    acceptance: float
    draft_s: float
    step_s: float
    round_trip_s: float
    per_step: int


def expected_speedup(pace: Pace) -> float:
    """Tokens a second with drafts, over those without, when the verifier never waits.

    After a mismatch the verifier is alone until the device, which learns of it half a round trip
    later and drafts faster than the verifier decodes, has caught up and its drafts have crossed
    the link: `blind` tokens. From there on tokens come at the pace of the slower of drafting
    and verifying, until the next mismatch. With runs of geometric length (independent
    acceptance, as in Leviathan et al. 2023, section 3.1) the expectation has a closed form.
    """
    if pace.draft_s >= pace.step_s or pace.acceptance <= 0:
        return 1.0
    right = min(pace.acceptance, 0.9999)
    blind = pace.round_trip_s / (pace.step_s - pace.draft_s)
    run = right / (1 - right)
    alone = run * (1 - right**blind)
    helped = run * right**blind
    together_s = max(pace.draft_s, pace.step_s / (pace.per_step + 1))
    return (run + 1) * pace.step_s / ((alone + 1) * pace.step_s + helped * together_s)


def pays(pace: Pace, drafting: bool) -> bool:
    """Whether to draft, given whether one does at present."""
    return expected_speedup(pace) > (END_BELOW if drafting else BEGIN_ABOVE)


def window(pace: Pace) -> int:
    """Unverified tokens to be ahead at most, so that the verifier never lacks any.

    What it can confirm in a round trip and two steps (one that runs, one to come); but no
    further than where one guess in twenty is still right, as the rest would be thrown away.
    """
    token_s = max(pace.draft_s, pace.step_s / (pace.per_step + 1), 1e-6)
    needed = (pace.round_trip_s + 2 * pace.step_s) / token_s
    right = min(max(pace.acceptance, 0.01), 0.9999)
    worthwhile = math.log(0.05) / math.log(right)
    return int(min(max(min(needed, worthwhile), MIN_WINDOW), MAX_WINDOW))
