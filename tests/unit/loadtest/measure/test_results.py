import csv
import json
from pathlib import Path

import pytest

from loadtest.measure.results import Cell, Table, final_line, write, written
from loadtest.measure.statistics import Spread

TABLE = Table(
    name="speed",
    title="Speed",
    columns=("what", "ms"),
    rows=[["a", Spread(1.5, 1.0, 2.0)], ["b", None]],
)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, ""),
        ("text", "text"),
        (1180608, "1,180,608"),
        (2345.6, "2,346"),
        (123.45, "123.5"),
        (12.345, "12.35"),
        (0.12345, "0.123"),
        (-0.5, "-0.500"),
        (Spread(0.39, 0.37, 0.45), "0.390 [0.370–0.450]"),
    ],
)
def test_cells_are_short_for_people(cell: Cell, text: str) -> None:
    assert written(cell) == text


def test_results_are_written_as_markdown_csv_and_json(tmp_path: Path) -> None:
    markdown = write(tmp_path / "results", "bench", [TABLE], {"kernel": "6"}).read_text()
    assert "- kernel: 6" in markdown
    assert "| a | 1.50 [1–2] |" in markdown
    with (tmp_path / "results/bench-speed.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["what", "ms", "ms low", "ms high"],
            ["a", "1.5", "1.0", "2.0"],
            ["b", "", "", ""],
        ]
    content = json.loads((tmp_path / "results/bench.json").read_text())
    assert content["tables"]["speed"][0]["ms"] == {"median": 1.5, "low": 1.0, "high": 2.0}


def test_the_final_line_is_one_json_object() -> None:
    line = final_line({"added_ms_p50": 0.123456, "rps_ratio": None})
    assert json.loads(line) == {"added_ms_p50": 0.1235, "rps_ratio": None}
    assert "\n" not in line
