"""What the commands share: types of arguments, the error of bad input, and where runs are kept."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


class ArgumentFailure(Exception):
    """A fault of the input; the message names it and the fix."""


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return value


def runs() -> Path:
    """The folder of all training runs, below TIERFLOW_CACHE."""
    cache = os.environ.get("TIERFLOW_CACHE") or "~/.cache/tierflow"
    return Path(cache).expanduser() / "family"
