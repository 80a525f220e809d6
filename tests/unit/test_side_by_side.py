"""A run of the whole suite fails when either of its halves does, and shows both."""

import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import pytest

import tests.__main__ as suite


@pytest.mark.parametrize(
    ("others", "engines", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 2, 2), (2, 1, 2)]
)
def test_the_worse_exit_code_counts_and_both_outputs_are_shown(
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    others: int,
    engines: int,
    code: int,
) -> None:
    codes = {suite.OTHERS: others, suite.ENGINES: engines}

    def start(arguments: Sequence[str], output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        own = codes[tuple(arguments)]
        script = f"print('half {arguments[2]}'); raise SystemExit({own})"
        return subprocess.Popen([sys.executable, "-c", script], stdout=output)

    monkeypatch.setattr(suite, "start", start)
    assert suite.side_by_side() == code
    assert capfdbinary.readouterr().out == b"half not engine\nhalf engine\n"
