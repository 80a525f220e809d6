"""What a benchmark says when it can't go on."""

from __future__ import annotations


class BenchmarkFailure(Exception):
    """One line for the user. `exit_code` 2: something is missing or set wrongly; 1: it broke."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
