import json
import struct
from pathlib import Path

import pytest

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.family import (
    Question,
    is_right,
    longest_first,
    parameters,
    read_quality,
    split_of,
)


def test_only_the_final_answer_is_compared() -> None:
    assert is_right("3 + 4 = 7. Answer: 7", "Answer: 7")
    assert not is_right("7", "Answer: 8")
    assert is_right(" [1, 2]\n", "[1, 2]")


def test_prompts_come_once_and_longest_answers_first() -> None:
    asked = [Question("a", "p", "12"), Question("b", "q", "1234"), Question("a", "p", "12")]
    assert [question.prompt for question in longest_first(asked)] == ["q", "p"]


def question(text: str) -> Question:
    return Question("task", text, "Answer: 1")


def test_three_of_five_questions_are_fitted_to_and_always_the_same() -> None:
    splits = [split_of(question(f"How much is {n}?")) for n in range(2000)]
    assert splits == [split_of(question(f"How much is {n}?")) for n in range(2000)]
    assert splits.count("calibration") / 2000 == pytest.approx(0.6, abs=0.04)


def test_accuracy_and_agreement_are_read_by_tier() -> None:
    line = json.dumps(
        {f"accuracy_{tier}": 0.5 for tier in ("device", "edge", "cloud")}
        | {"agreement_device": 0.8, "agreement_edge": 0.9}
    )
    quality = read_quality(line)
    assert quality.accuracy["edge"] == 0.5
    assert dict(quality.agreement) == {"device": 0.8, "edge": 0.9, "cloud": 1.0}


@pytest.mark.parametrize("line", ["", "no output", '{"accuracy_device": 1}', "[1]"])
def test_figures_that_cannot_be_read_are_refused(line: str) -> None:
    with pytest.raises(BenchmarkFailure, match="evaluate ended with"):
        read_quality(line)


def test_parameters_are_counted_from_the_headers(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
        "b": {"dtype": "F32", "shape": [5], "data_offsets": [48, 68]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(68))
    assert parameters(tmp_path) == 17


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailure, match="no safetensors"):
        parameters(tmp_path)
