"""The machine on which the family is trained and measured."""

from __future__ import annotations

import os
from pathlib import Path


def describe() -> str:
    """The processor this runs on, as the cards name it."""
    cores = os.cpu_count() or 1
    model = "an unnamed processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {cores} cores"
