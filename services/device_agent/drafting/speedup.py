"""The speed-up to expect of drafting: whether it pays, and how far to draft ahead. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_WINDOW = 4
MAX_WINDOW = 64

BEGIN_ABOVE = 1.12
END_BELOW = 1.06
"""Drafting begins above one speed-up and ends below a lower one, so that it does not flutter."""

ROW_SHARE = 0.02
"""What one more draft token costs a verifying step, as a share of a step. A cautious figure: with
the shipped family on a CPU, 16 rows cost a step 4 to 6 percent; a larger model's rows cost more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedupInputs:
    """What was measured of drafter, verifier and link, from which the speed-up follows.

    `acceptance` is the share of draft tokens that were right where all before them were (0 to 1),
    `second` the chance that a second guess is right where the first was wrong. `draft_s` is the
    device's time for a draft token, `step_s` the verifier's step, `round_trip_s` the round trip
    between the two, all in seconds. `per_step` is the most draft tokens that the verifier takes in
    a step.
    """

    acceptance: float
    second: float
    draft_s: float
    step_s: float
    round_trip_s: float
    per_step: int


def expected_speedup(inputs: SpeedupInputs) -> float:
    """Tokens a second with drafts, divided by those without, where the verifier never waits.

    After a mismatch that no alternative covers, the verifier is alone until the device, which
    learns of it half a round trip later and drafts faster than the verifier decodes, has caught
    up and its drafts have crossed the link: `blind` tokens. From there on tokens come at the rate
    of the slower of drafting and verifying, until the next such mismatch. Runs are geometric
    (independent acceptance: Leviathan et al. 2023, section 3.1), so the expectation has a closed
    form. Draft tokens that are not
    confirmed cost rows of the verifying steps.
    """
    if inputs.draft_s >= inputs.step_s or inputs.acceptance <= 0 or inputs.per_step < 1:
        return 1.0
    right = inputs.acceptance + (1 - inputs.acceptance) * inputs.second
    right = min(right, 0.9999)
    blind = inputs.round_trip_s / (inputs.step_s - inputs.draft_s)
    run = right / (1 - right)
    alone = run * (1 - right**blind)
    helped = run * right**blind
    rows = min(inputs.per_step, 1 / (1 - min(inputs.acceptance, 0.99)))
    verifying_s = inputs.step_s * (1 + ROW_SHARE * rows)
    taken = min(inputs.per_step, run) + 1
    together_s = max(inputs.draft_s, verifying_s / taken)
    wasted_s = ROW_SHARE * rows * inputs.step_s
    spent_s = (alone + 1) * inputs.step_s + helped * together_s + wasted_s
    speedup: float = (run + 1) * inputs.step_s / spent_s
    return speedup


def pays(inputs: SpeedupInputs, drafting: bool) -> bool:
    """Whether to draft. `drafting`: whether the device does at present."""
    return expected_speedup(inputs) > (END_BELOW if drafting else BEGIN_ABOVE)


def window(inputs: SpeedupInputs) -> int:
    """Unverified tokens to be ahead at most, so that the verifier never lacks any.

    That is what it can confirm in a round trip and two steps (one that runs, one to come); but
    only as far as one branch in twenty is still right: most of the rest would be thrown away.
    """
    token_s = max(inputs.draft_s, inputs.step_s / (inputs.per_step + 1), 1e-6)
    needed = (inputs.round_trip_s + 2 * inputs.step_s) / token_s
    right = inputs.acceptance + (1 - inputs.acceptance) * inputs.second
    right = min(max(right, 0.01), 0.9999)
    worthwhile = math.log(0.05) / math.log(right)
    return int(min(max(min(needed, worthwhile), MIN_WINDOW), MAX_WINDOW))
