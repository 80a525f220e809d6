import pytest

from loadtest.speculation.comparisons import at, compare_link, worst_p99
from loadtest.speculation.plan import (
    A80,
    CO_LOCATED,
    NATURAL,
    SERVER_ONLY,
    DraftConfig,
    LinkPlan,
)
from tests.unit.loadtest.speculation.samples import LINK, measured, sample


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


def test_links_of_another_rate_are_not_in_the_final_line() -> None:
    other = LinkPlan(round_trip_ms=5, rate_mb_s=50.0, main=[DraftConfig(NATURAL)])
    comparisons = compare_link(other, measured(4.0, DraftConfig(NATURAL)))
    assert at(comparisons, 5, DraftConfig(NATURAL)) is None
