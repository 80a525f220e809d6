"""`make up` in a shell of its own, and `make down` in another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.documents.blocks import Example
from tests.documents.reader import Reader
from tests.examples.machine import Machine

LAST_WORDS = "another shell stops it"


@contextmanager
def up(machine: Machine, reader: Reader, text: str) -> Iterator[str]:
    """`text`: the command that starts it. What it has printed when all is ready. Raises
    BrokenExample where it does not start, and AssertionError where it does not stop as the pages
    say."""
    with machine.terminal(reader) as terminal:
        terminal.begin(reader.filled_in(text))
        yield terminal.shows(lambda printed: LAST_WORDS in printed)
        assert "tierflow is stopped" in reader.run(Example("README.md", "make down"))
        assert terminal.ended() == 0, terminal.printed
