"""The Python that an installation runs on.

Runs on the system's Python with nothing but its library, also on one that is too old for the rest.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys

OLDEST_PYTHON = (3, 11)


def use_a_new_enough_python() -> None:
    """Return on a Python that is new enough; else run the script again on one, or end with one line
    where there is none."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for minor in range(OLDEST_PYTHON[1], OLDEST_PYTHON[1] + 4):
        python = shutil.which(f"python3.{minor}")
        if python:
            os.execv(python, [python, *sys.argv])
    sys.exit(
        f"tierflow: Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later is needed, this is "
        f"{platform.python_version()}: install the packages python3.11 and python3.11-venv, "
        "or later ones"
    )
