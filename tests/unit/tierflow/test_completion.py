"""What a shell offers next, asked as argcomplete's line in it asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def offered(line: str) -> set[str]:
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_IFS": "\n",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tierflow"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return {word.strip() for word in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("line", "next_words"),
    [
        ("tierflow st", {"status"}),
        ("tierflow admin keys ro", {"rotate"}),
        ("tierflow completion f", {"fish"}),
        ("tierflow ask --mod", {"--model"}),
        ("tierflow settings timeouts.i", {"timeouts.idle_s"}),
        ("tierflow logs ga", {"gateway"}),
    ],
)
def test_commands_and_options_are_completed(line: str, next_words: set[str]) -> None:
    assert offered(line) == next_words
