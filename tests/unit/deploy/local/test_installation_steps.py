"""An installation is seen to go on while a step says nothing."""

from __future__ import annotations

import threading
import time

import pytest

from deploy.local.installation import steps
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
