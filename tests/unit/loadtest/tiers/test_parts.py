import json

import pytest

from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.tiers import parts
from loadtest.tiers.parts import KEYS, PARTS, Part, final_figures, read_figures, run_part
from loadtest.tiers.report import KEYS as OWN_KEYS


def test_the_final_line_has_the_keys_of_all_parts_once() -> None:
    assert KEYS == (
        "two_tier_speedup",
        "three_tier_speedup",
        "three_tier_speedup_a80_rtt_50",
        "prediction_90",
        "prediction_50",
        "prediction_0",
        "capacity_best",
        "capacity_worst",
        "ideal_share_worst",
        "step25_rtt50",
        "mismatches",
    )
    assert set(OWN_KEYS) <= set(KEYS)


def test_what_no_part_has_measured_is_null_and_mismatches_are_added_up() -> None:
    own = {"two_tier_speedup": 1.6, "mismatches": 1}
    predicted = {"prediction_90": 3.2, "mismatches": 2}
    together = final_figures([own, predicted, {"capacity_best": 3.0, "mismatches": None}])
    assert tuple(together) == KEYS
    assert (together["two_tier_speedup"], together["prediction_90"]) == (1.6, 3.2)
    assert together["capacity_worst"] is None
    assert together["mismatches"] == 3
    assert final_figures([])["mismatches"] is None


def test_a_parts_other_figures_stay_its_own() -> None:
    line = json.dumps({"capacity_best": 3.0, "capacity_worst": None, "sessions": 64})
    assert read_figures("capacity", line) == {
        "capacity_best": 3.0,
        "capacity_worst": None,
        "mismatches": None,
    }


@pytest.mark.parametrize("line", ["", "no JSON", "[]", "3", '{"capacity_best": 1}'])
def test_a_part_that_ends_without_its_figures_is_named(line: str) -> None:
    with pytest.raises(BenchmarkFailure, match="capacity ended with"):
        read_figures("capacity", line)


def test_a_part_runs_as_a_command_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "tests.unit.loadtest.tiers.part"
    monkeypatch.setattr(parts, "PARTS", {"ideal": Part(module=module, keys=("step25_rtt50",))})
    monkeypatch.setenv("PART_CODE", "0")
    assert run_part("ideal", Progress("bench")) == {"step25_rtt50": 1.3, "mismatches": 0}
    assert capsys.readouterr().out == "a table\n"
    monkeypatch.setenv("PART_CODE", "2")
    with pytest.raises(BenchmarkFailure, match="ideal ended with code 2") as failure:
        run_part("ideal", Progress("bench"))
    assert failure.value.exit_code == 2


def test_a_part_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PARTS", {"ideal": Part(module="loadtest.nothing", keys=())})
    with pytest.raises(BenchmarkFailure, match=r"ideal: there is no loadtest\.nothing"):
        run_part("ideal", Progress("bench"))


def test_no_key_is_of_two_parts() -> None:
    keys = [*parts.OWN_KEYS, *(key for part in PARTS.values() for key in part.keys)]
    assert len(keys) == len(set(keys))
