"""Runs the parts of an instance side by side, with honcho: when a vital one stops, all stop.

Added to honcho's manager: output goes straight to a log file; no process outlives the runner, even
if that is killed; the part that failed is known by name; and a stop that is requested at any
moment, by a signal or from a thread, ends everything within a bounded time.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Popen, Process

from deploy.local.instance import Leader

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KILL_AFTER = 10.0
"""Seconds between asking the parts to stop and killing those that have not."""

PR_SET_PDEATHSIG = 1


def die_with_parent(signum: int) -> None:
    """Have the kernel send this signal to the calling process when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signum)


class TiedProcess(Process):  # type: ignore[misc]
    """A process that gets SIGTERM when the runner has ended, in whatever way."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._runner = os.getpid()
        # Runs in a process of its own with one thread, so that code before exec is safe.
        self._child_ctor = partial(Popen, preexec_fn=partial(die_with_parent, signal.SIGTERM))

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Called by honcho in a process between the runner and the part."""
        die_with_parent(signal.SIGKILL)
        if os.getppid() != self._runner:
            return
        super().run(*args, **kwargs)


class Supervisor(Manager):  # type: ignore[misc]
    """The runner of all parts, until a vital one ends or `stop` is called.

    `watch` runs in a thread of its own once all parts have a process. `on_end(name, exit_code)` is
    called for each part that ends by itself without being vital.
    """

    def __init__(
        self, watch: Callable[[Supervisor], None], on_end: Callable[[str, int], None]
    ) -> None:
        super().__init__(Printer(StringIO()))
        self._process_ctor = TiedProcess
        self._watch = watch
        self._on_end = on_end
        self._dispensable: set[str] = set()
        self.ended: dict[str, int] = {}
        """Exit codes of the parts that ended by themselves and are not vital."""
        self._stop = threading.Event()
        self.failed: tuple[str, int] | None = None
        """The part that ended by itself first, and its exit code."""

    def add(
        self,
        name: str,
        command: list[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        log: Path,
        vital: bool = True,
    ) -> None:
        """Add a part, which `loop` starts; its output goes to `log`, which is emptied."""
        if not vital:
            self._dispensable.add(name)
        log.write_bytes(b"")
        line = f"exec {shlex.join(command)} >>{shlex.quote(str(log))} 2>&1 </dev/null"
        self.add_process(name, line, env=dict(environment), cwd=str(cwd))

    def stop(self) -> None:
        """End all parts; `loop` returns when they have ended. Any thread may call it."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set() or self._terminating

    def wait(self, seconds: float) -> bool:
        """Sleep; True at once where everything is to stop."""
        return self._stop.wait(seconds)

    def leaders(self) -> list[Leader]:
        """The first process of each part that runs."""
        leaders = []
        for name, process in self._processes.items():
            try:
                created = psutil.Process(process["pid"]).create_time()
            except psutil.Error:
                continue
            leaders.append(Leader(name, process["pid"], created))
        return leaders

    def _start(self) -> None:
        # honcho has just set its own handlers, which know SIGINT and SIGTERM only.
        for signum in STOP_SIGNALS:
            signal.signal(signum, self._on_signal)
        super()._start()
        # Threads only from here on: the processes above are forked.
        threading.Thread(target=self._run_watch, name="watch", daemon=True).start()
        threading.Thread(target=self._run_stop, name="stop", daemon=True).start()

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _run_watch(self) -> None:
        while not self._all_started():
            time.sleep(0.02)
        try:
            self._watch(self)
        except BaseException:
            self.stop()
            raise

    def _run_stop(self) -> None:
        self._stop.wait()
        while not self._all_started():
            time.sleep(0.02)
        self.terminate()
        time.sleep(KILL_AFTER)
        self.kill()

    def _any_stopped(self) -> bool:
        """Called by honcho all the time: whether it is time to stop the rest."""
        codes = {n: p["returncode"] for n, p in self._processes.items() if "returncode" in p}
        for name in self._dispensable & codes.keys() - self.ended.keys():
            if not self.stopping:
                self.ended[name] = codes[name]
                self._on_end(name, codes[name])
        return bool(codes.keys() - self._dispensable)

    def terminate(self) -> None:
        """Called by honcho when a part has ended, and by `stop`."""
        if not self._all_started():
            self._stop.set()
            return
        if not self._terminating and not self._stop.is_set():
            ended = {n: p["returncode"] for n, p in self._processes.items() if "returncode" in p}
            vital = (part for part in ended.items() if part[0] not in self._dispensable)
            self.failed = next(vital, None)
        super().terminate()
        self._stop.set()


def signal_name(code: int) -> str:
    """`exit code 3`, or `killed by SIGKILL` for a part that a signal ended."""
    number = -code if code < 0 else code - 128
    if code < 0 or 128 < code < 160:
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"exit code {code}"


def run_quietly(command: list[str], cwd: Path) -> tuple[int, str]:
    """Run to the end; exit code and stdout. What interrupts us ends the command as well."""
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.terminate()
            raise
    return process.returncode, output


class StopRequested(Exception):
    """A request to stop that came before anything ran."""


def raise_on_stop() -> None:
    """Have the stop signals raise StopRequested, until a Supervisor handles them itself."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise StopRequested

    for signum in STOP_SIGNALS:
        signal.signal(signum, stop)
