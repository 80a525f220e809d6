from dataclasses import replace

import pytest

from loadtest.speculation.comparisons import at, compare_link, worst_p99, worst_share
from loadtest.speculation.plan import (
    A80,
    CO_LOCATED,
    NATURAL,
    SERVER_ONLY,
    DraftConfig,
    LinkPlan,
)
from tests.unit.loadtest.speculation.samples import LINK, known, measured, sample


def test_a_comparison_is_of_the_same_rounds() -> None:
    (comparison,) = compare_link(LINK, measured(2.0, DraftConfig(NATURAL)))
    assert comparison.ratio.median == pytest.approx(2.0)
    assert comparison.p99.median == pytest.approx(2.0)
    assert comparison.step_ms == pytest.approx(10.0)
    assert comparison.adaptive
    assert (comparison.answers, comparison.mismatches, comparison.degraded) == (10, 0, 0)


def test_wrong_and_degraded_answers_are_counted() -> None:
    variant = DraftConfig(NATURAL)
    samples = [
        sample(0, SERVER_ONLY, 0.01),
        sample(1, SERVER_ONLY, 0.01),
        sample(0, variant, 0.005, drafted=40, accepted=10),
        sample(1, variant, None, exact=False, degraded=True),
    ]
    (comparison,) = compare_link(LINK, samples)
    assert (comparison.answers, comparison.mismatches, comparison.degraded) == (2, 1, 1)
    assert comparison.accepted_share == 0.25


def test_fixed_windows_and_the_co_located_baseline_are_no_candidates_for_the_worst_cell() -> None:
    comparisons = [
        *compare_link(LINK, measured(1.5, DraftConfig(A80))),
        *compare_link(LINK, measured(1.1, DraftConfig("0.3"))),
        *compare_link(LINK, measured(0.2, DraftConfig(NATURAL, "1"))),
        *compare_link(LINK, measured(0.3, CO_LOCATED)),
    ]
    assert worst_p99(comparisons).variant == DraftConfig("0.3")


def test_the_ideal_race_is_run_at_the_times_that_were_measured() -> None:
    """Server-only 10 ms a token and more, from round to round; the engine's step 10 ms."""
    variant = DraftConfig(A80)
    useless, right = (
        compare_link(LINK, measured(2.0, variant), known(A80, right=right))[0]
        for right in (False, True)
    )
    assert useless.ideal == pytest.approx(1.0)
    assert useless.share is not None and useless.share.median == pytest.approx(2.0)
    # The first token comes after 50 - 5 ms, with all others drafted: two full steps.
    assert right.ideal == pytest.approx(17.0)
    assert right.share is not None and right.share.median == pytest.approx(2.0 / 17.0)
    assert compare_link(LINK, measured(2.0, variant))[0].share is None


def test_a_step_that_is_longer_while_drafts_are_verified_is_what_the_ideal_race_has() -> None:
    variant = DraftConfig(A80)
    samples = [
        replace(each, gaps=(0.014, 0.0001, 0.015, 0.016)) if each.variant == variant else each
        for each in measured(2.0, variant)
    ]
    (comparison,) = compare_link(LINK, samples, known(A80, right=True))
    assert comparison.drafted_step_ms == pytest.approx(15.0)
    assert comparison.ideal == pytest.approx(17.0 / 1.5)


def test_the_worst_share_is_that_of_acceptance_0_8_and_the_adaptive_window() -> None:
    comparisons = [
        *compare_link(LINK, measured(2.0, DraftConfig(A80)), known(A80)),
        *compare_link(LINK, measured(1.5, DraftConfig(A80)), known(A80)),
        *compare_link(LINK, measured(1.2, DraftConfig(A80, "4")), known(A80)),
        *compare_link(LINK, measured(1.1, DraftConfig(NATURAL)), known(NATURAL)),
        *compare_link(LINK, measured(1.0, DraftConfig(A80))),
    ]
    worst = worst_share(comparisons)
    assert worst is not None and worst.ratio.median == pytest.approx(1.5)
    assert worst_share(compare_link(LINK, measured(2.0, DraftConfig(A80)))) is None


def test_links_of_another_rate_are_not_in_the_final_line() -> None:
    other = LinkPlan(round_trip_ms=5, rate_mb_s=50.0, main=[DraftConfig(NATURAL)])
    comparisons = compare_link(other, measured(4.0, DraftConfig(NATURAL)))
    assert at(comparisons, 5, DraftConfig(NATURAL)) is None
