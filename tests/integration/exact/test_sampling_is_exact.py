"""Sampled answers have the server's own distribution, though a device drafts their tokens.

Pearson's chi-square test of homogeneity between SAMPLES answers through the agent and as many of
the server alone, over fixed seeds; cells that expect fewer than 5 are pooled. It looks at the
second token, and at the second and third as a pair: the first is never drafted, as no step may
carry drafts before it is said. ALPHA is that of each of the two comparisons; what is drafted in
time varies, so a run of this file fails by chance once in some 5000 times. The power for the
single token, by simulation: one of probability 0.5, others 0.1 each, that drafts raised to 0.65
would be found with 39 %, to 0.7 with 83 %, to 0.75 (half of what should be refused is accepted)
with 99 %.

The seed makes no answer repeatable here: where drafts are verified, random numbers are used in
another order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.exact.chat import DraftedReply, server_only, together
from tests.integration.exact.drafting_fleet import DraftingFleet
from tests.reference_verifier.statistics import same_distribution

pytestmark = [pytest.mark.integration, pytest.mark.engine("verifier")]
QUESTION = "Name a colour."
"""The family is not sure of it: several tokens are likely at each place, in device and server."""
SAMPLES = 400
ALPHA = 1e-4
LENGTH = 5
SAMPLING = {"temperature": 1.5, "top_p": 0.9}
"""The contract of verifiers has others, at the same engine: what a device adds is the same."""
AT_ONCE = 4
"""More would leave the device no time to draft."""


def test_sampled_answers_have_the_servers_distribution(fleet: DraftingFleet) -> None:
    how: dict[str, Any] = {**SAMPLING, "max_tokens": LENGTH, "ignore_eos": True}

    def drafted(seed: int) -> DraftedReply:
        return together(fleet, 0, QUESTION, window="8", seed=seed, **how)

    def plain(seed: int) -> DraftedReply:
        return server_only(fleet, QUESTION, seed=seed, **how)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        ours = list(threads.map(drafted, range(SAMPLES)))
    with ThreadPoolExecutor(3 * AT_ONCE) as threads:
        theirs = list(threads.map(plain, range(SAMPLES, 2 * SAMPLES)))
    for end in (2, 3):
        p_value = same_distribution(
            [tuple(reply.ids[1:end]) for reply in ours],
            [tuple(reply.ids[1:end]) for reply in theirs],
        )
        assert p_value > ALPHA, f"{p_value=:.2g}"
    for place in (1, 2):
        share = sum(reply.by[place] == "draft" for reply in ours) / SAMPLES
        assert 0.05 < share < 0.9, f"token {place}: {share:.0%} drafted"
