import pytest

from loadtest.speculation.links import Sample
from loadtest.speculation.percentiles import table, tpot_percentiles
from loadtest.speculation.plan import (
    A80,
    CO_LOCATED,
    CONTROL,
    NATURAL,
    SERVER_ONLY,
    DraftConfig,
    Variant,
)
from tests.unit.loadtest.speculation.samples import sample


def link(usual: float, speed: float) -> list[Sample]:
    """Twenty rounds on one link, the last of them three times as slow."""
    times = [usual] * 19 + [3 * usual]
    server = [sample(i, SERVER_ONLY, time) for i, time in enumerate(times)]
    ours = [sample(i, DraftConfig(A80), time / speed) for i, time in enumerate(times)]
    return server + ours


def test_links_of_different_speeds_are_put_on_one_scale() -> None:
    (drafter,) = tpot_percentiles([link(0.01, 2.0), link(0.05, 2.0)])
    assert (drafter.name, drafter.answers) == (A80, 40)
    assert drafter.slowness[0] == pytest.approx(0.5)
    assert drafter.slowness[2] == pytest.approx(1.5)
    assert drafter.ratio.median == pytest.approx(2.0)


def test_only_adaptive_drafters_and_the_control_are_in_the_table() -> None:
    samples = link(0.01, 1.0)
    others: list[Variant] = [DraftConfig(NATURAL, "8"), CO_LOCATED, CONTROL]
    more = [sample(i, variant, 0.01) for variant in others for i in range(20)]
    assert [row[0] for row in table(tpot_percentiles([samples + more])).rows] == [A80, CONTROL]


def test_an_answer_too_short_to_be_timed_is_left_out() -> None:
    samples = [*link(0.01, 1.0), sample(5, CONTROL, None)]
    assert [drafter.name for drafter in tpot_percentiles([samples])] == [A80]
