"""The file of cascades' outcomes: what can't be written is counted and told."""

from __future__ import annotations

from pathlib import Path

import orjson
from structlog.testing import capture_logs

from gateway.adapters.files.outcome_log import OutcomeFile
from tests.servers import eventually


def test_outcomes_that_find_no_folder_are_lost_until_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "later" / "outcomes.jsonl"
    with capture_logs() as lines:
        outcomes = OutcomeFile(file)
        for number in (1, 2):
            outcomes.write({"n": number})
            eventually(lambda: outcomes.dropped == number, "it is lost")  # noqa: B023
        assert outcomes.problem == f"{file}: No such file or directory"
        file.parent.mkdir()
        outcomes.write({"n": 3})
        eventually(lambda: not outcomes.problem, "the third is written")
        outcomes.close()
    assert [orjson.loads(line) for line in file.read_bytes().splitlines()] == [{"n": 3}]
    told = [(line["event"], line["file"]) for line in lines]
    assert told == [("outcomes_lost", str(file)), ("outcomes_written", str(file))]


def test_a_full_file_is_a_loss(tmp_path: Path) -> None:
    outcomes = OutcomeFile(tmp_path / "outcomes.jsonl", max_bytes=10)
    outcomes.write({"n": 1})
    eventually(lambda: (tmp_path / "outcomes.jsonl").exists(), "the first is written")
    outcomes.write({"n": 2})
    eventually(lambda: outcomes.dropped == 1, "the second is lost")
    assert outcomes.problem.endswith("the file may have 10 bytes")
    outcomes.close()
