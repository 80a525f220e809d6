"""Progress on standard error, so that standard output holds the results alone."""

from __future__ import annotations

import sys
import time


class Progress:
    """Prints `name: [elapsed] what` as steps begin."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = time.monotonic()

    def __call__(self, what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        print(f"{self._name}: [{minutes}:{seconds:02d}] {what}", file=sys.stderr, flush=True)
