"""What an installation runs on, and that it is seen to go on while a step says nothing."""

from __future__ import annotations

import ast
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.local.installation import interpreter, steps
from deploy.local.installation.steps import InstallationProgress


def test_a_step_that_says_nothing_is_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    told, shown = threading.Event(), list[str]()

    def report(text: str) -> None:
        shown.append(text)
        told.set()

    monkeypatch.setattr(InstallationProgress, "TICK_S", 0.001)
    monkeypatch.setattr(steps, "report", report)
    progress = InstallationProgress("tiny", 1, started=time.monotonic() - 60)
    progress.live = False
    progress.current = "unpacking 1 packages"
    assert told.wait(10)
    progress.end()
    assert shown[0].startswith("tiny: unpacking 1 packages, ")


@pytest.mark.parametrize("there", [False, True])
def test_a_python_that_is_too_old_gives_way_to_a_newer_one_or_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    become: list[list[str]] = []

    def execv(program: str, arguments: list[str]) -> None:
        become.append(arguments)
        raise SystemExit(0)

    monkeypatch.setattr(interpreter, "OLDEST_PYTHON", (9, 9))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if there else None)
    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "argv", ["environments.py", "gateway"])
    with pytest.raises(SystemExit) as ended:
        interpreter.use_a_new_enough_python()
    if there:
        assert become == [["/usr/bin/python3.9", "environments.py", "gateway"]]
    else:
        assert str(ended.value.code).startswith("tierflow: Python 9.9 or later is needed, this is ")


def test_what_looks_at_the_python_is_read_by_an_old_one() -> None:
    """Without words of a later Python than 3.7, nor an import that has them."""
    text = Path(interpreter.__file__).read_text()
    ast.parse(text, feature_version=(3, 7))
    assert not [line for line in text.splitlines() if line.startswith("from deploy")]
