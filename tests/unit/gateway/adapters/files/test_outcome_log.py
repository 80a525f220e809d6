"""The file of cascades' outcomes: what can't be written is counted and told."""

from __future__ import annotations

from pathlib import Path

import orjson
import structlog

from gateway.adapters.files.outcome_log import OutcomeFile
from tests.servers import eventually


class Losses:
    """How many outcomes were lost."""

    def __init__(self) -> None:
        self.number = 0

    def count(self) -> None:
        self.number += 1


def test_outcomes_that_find_no_folder_are_lost_until_there_is_one(tmp_path: Path) -> None:
    file, losses = tmp_path / "later" / "outcomes.jsonl", Losses()
    with structlog.testing.capture_logs() as lines:
        outcomes = OutcomeFile(file, losses.count)
        outcomes.write({"n": 1})
        outcomes.write({"n": 2})
        eventually(lambda: losses.number == 2, "both are lost")
        assert outcomes.problem == f"{file}: No such file or directory"
        file.parent.mkdir()
        outcomes.write({"n": 3})
        eventually(lambda: not outcomes.problem, "the third is written")
        outcomes.close()
    assert [orjson.loads(line) for line in file.read_bytes().splitlines()] == [{"n": 3}]
    assert [line["event"] for line in lines] == ["outcomes_lost", "outcomes_written"]


def test_a_full_file_is_a_loss(tmp_path: Path) -> None:
    losses = Losses()
    outcomes = OutcomeFile(tmp_path / "outcomes.jsonl", losses.count, max_bytes=10)
    outcomes.write({"n": 1})
    outcomes.write({"n": 2})
    eventually(lambda: losses.number == 1, "the second is lost")
    assert outcomes.problem.endswith("the file has 10 bytes")
    outcomes.close()
