import pytest

from loadtest.speculation.plan import A80, NATURAL, Way
from loadtest.speculation.stops import AGAIN, CO_LOCATED, SERVER_ONLY, Sample
from loadtest.speculation.tails import table, tails


def sample(number: int, way: Way | str, tpot: float | None) -> Sample:
    return Sample(number, number, way, tpot, 0.05, 0.4, (), True, 0, 0, False)


def link(usual: float, speed: float) -> list[Sample]:
    """Twenty rounds on one link, the last of them three times as slow."""
    times = [usual] * 19 + [3 * usual]
    server = [sample(i, SERVER_ONLY, time) for i, time in enumerate(times)]
    ours = [sample(i, Way(A80), time / speed) for i, time in enumerate(times)]
    return server + ours


def test_links_of_different_speeds_are_put_on_one_scale() -> None:
    (tail,) = tails([link(0.01, 2.0), link(0.05, 2.0)])
    assert (tail.name, tail.answers) == (A80, 40)
    assert tail.slowness[0] == pytest.approx(0.5)
    assert tail.slowness[2] == pytest.approx(1.5)
    assert tail.ratio.median == pytest.approx(2.0)


def test_only_adaptive_drafters_and_the_control_are_told() -> None:
    samples = link(0.01, 1.0)
    others: list[Way | str] = [Way(NATURAL, "8"), CO_LOCATED, AGAIN]
    more = [sample(i, way, 0.01) for way in others for i in range(20)]
    assert [row[0] for row in table(tails([samples + more])).rows] == [A80, AGAIN]


def test_an_answer_too_short_to_be_timed_is_left_out() -> None:
    samples = [*link(0.01, 1.0), sample(5, AGAIN, None)]
    assert [tail.name for tail in tails([samples])] == [A80]
