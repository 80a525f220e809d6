"""A run of the whole suite fails when any of its runs does, and shows all."""

import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import pytest

import tests.__main__ as suite


def runs_end_with(
    monkeypatch: pytest.MonkeyPatch, *, others: int, engines: int, after_engines: int
) -> None:
    """Each run prints its name and ends with this exit code."""
    runs = {
        suite.OTHERS: ("others", others),
        suite.ENGINES: ("engines", engines),
        suite.AFTER_ENGINES: ("after engines", after_engines),
    }

    def start(arguments: Sequence[str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        name, code = runs[tuple(arguments)]
        script = f"print({name!r}); raise SystemExit({code})"
        return subprocess.Popen([sys.executable, "-c", script], stdout=output)

    monkeypatch.setattr(suite, "start", start)


@pytest.mark.parametrize(
    ("others", "engines", "after_engines", "code"),
    [(0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1), (1, 3, 0, 3), (3, 1, 1, 3)],
)
def test_the_worst_exit_code_counts_and_all_outputs_are_shown(
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    others: int,
    engines: int,
    after_engines: int,
    code: int,
) -> None:
    runs_end_with(monkeypatch, others=others, engines=engines, after_engines=after_engines)
    assert suite.side_by_side() == code
    assert capfdbinary.readouterr().out == b"others\nengines\nafter engines\n"


def test_an_interrupted_lane_starts_no_further_run(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    runs_end_with(monkeypatch, others=2, engines=2, after_engines=0)
    assert suite.side_by_side() == 2
    assert capfdbinary.readouterr().out == b"others\nengines\n"
