"""Our own programs, started by forking a process that has imported them before.

Importing is most of what a short-lived gateway costs, and the suite starts some hundred of them.
One process (the fork server of `multiprocessing`) imports the programs once for a run of tests, and
each start forks it. What comes of it is a process like any other, with a pid, signals, output and
exit code of its own. The tests of `make up` start them from nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.processes import die_with_parent

PROGRAMS = (
    "gateway",
    "services.engine_simulator",
    "services.device_agent",
    "tests.integration.quick_agent",
)
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([f"{program}.__main__" for program in PROGRAMS])


def is_program(command: Sequence[str]) -> bool:
    """Whether the command is `python -m` one of the programs."""
    return list(command[:2]) == [sys.executable, "-m"] and command[2] in PROGRAMS


class ForkedProcess:
    """The part of `subprocess.Popen` that tests use."""

    def __init__(self, command: Sequence[str], output: Path, env: Mapping[str, str]) -> None:
        self.args = list(command)
        self._polled = threading.Lock()
        self._process = _server.Process(
            target=_run, args=(self.args[2:], str(output), dict(env)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        with self._polled:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        with self._polled:
            self._process.join(timeout)
            code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(arguments: list[str], output: str, env: dict[str, str]) -> None:
    # The fork server ends with the test run, however that ends.
    die_with_parent(signal.SIGTERM)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    os.environ.clear()
    os.environ.update(env)
    # Otherwise all of them would draw the same numbers.
    random.seed()
    sys.argv = arguments
    sys.modules.pop(f"{arguments[0]}.__main__", None)
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
