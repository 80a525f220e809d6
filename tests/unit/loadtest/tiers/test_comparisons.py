import pytest

from loadtest.tiers.comparisons import at, compare_cell
from loadtest.tiers.plan import TABLE, Phase
from loadtest.tiers.ways import CLOUD_ONLY, EDGE_ONLY, with_device
from tests.unit.loadtest.tiers.answers import NATURAL_WAYS, answer, cell, compared

THREE, TWO = with_device("edge-cloud"), with_device("cloud")


def test_ways_are_compared_with_the_tier_that_commits_their_tokens() -> None:
    by_way = {result.way: result for result in compared(cell(TABLE, 20, NATURAL_WAYS))}
    two = by_way[with_device("edge")]
    assert two.speedup is not None and two.speedup.median == pytest.approx(0.2 / 0.1)
    three = by_way[THREE]
    assert three.speedup is not None and three.speedup.median == pytest.approx(0.4 / 0.2)
    assert three.tpot_ratio is not None
    assert three.tpot_ratio.median == pytest.approx((0.4 - 0.05) / (0.2 - 0.05))
    assert three.over_two is not None and three.over_two.median == pytest.approx(0.25 / 0.2)
    assert by_way[TWO].over_two is None
    alone = by_way[CLOUD_ONLY]
    assert (alone.speedup, alone.tpot_ratio, alone.mismatches) == (None, None, None)
    assert alone.tokens_per_s.median == pytest.approx(24 / 0.4)
    assert alone.ttft_ms == pytest.approx(50)


def test_an_answer_with_other_ids_than_the_verifiers_is_a_mismatch() -> None:
    measured = cell(TABLE, 20, [CLOUD_ONLY, THREE])
    answers = [
        answer(0, CLOUD_ONLY, 0.4),
        answer(0, THREE, 0.2, last=8, text="8"),
        answer(1, THREE, 0.2),
        answer(1, CLOUD_ONLY, 0.4),
    ]
    alone, three = compare_cell(Phase(name="real steps", cells=[measured]), measured, answers)
    assert three.mismatches == 1
    assert (alone.accuracy, three.accuracy) == (1.0, 0.5)


def test_without_its_verifier_in_the_cell_a_way_is_not_compared() -> None:
    [result] = compared(cell(TABLE, 20, [THREE]))
    assert (result.speedup, result.tpot_ratio, result.over_two) == (None, None, None)
    assert result.mismatches is None


def test_a_result_is_found_by_kind_round_trip_way_and_steps() -> None:
    measured = cell(TABLE, 20, [EDGE_ONLY])
    emulated = Phase(name="emulated", cells=[measured], steps_ms={"edge": 12.0})
    results = [*compared(measured, phase=emulated), *compared(measured)]
    assert at(results, TABLE, 20, EDGE_ONLY) is results[1]
    assert at(results, TABLE, 20, EDGE_ONLY, emulated=True) is results[0]
    assert at(results, TABLE, 50, EDGE_ONLY) is None
