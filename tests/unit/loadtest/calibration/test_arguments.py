import pytest

from loadtest.calibration.arguments import read
from loadtest.measure.command import BenchmarkFailure


@pytest.mark.parametrize(
    "words", [["ask", "--output", "x", "--methods", "luck"], ["measure", "--questions", "5"]]
)
def test_an_unknown_method_and_too_few_questions_are_refused(words: list[str]) -> None:
    with pytest.raises(BenchmarkFailure):
        read(words)
