"""Processes that a benchmark starts: on chosen cores, with a log each, and none left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from types import TracebackType

import psutil

from loadtest.measure.cores import on_cores
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.wire import Target

STOP_S = 10.0
HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Running:
    """A process with the port that it serves."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.name = name
        self.target = Target(HOST, port)
        self.log = log
        self._popen = popen
        self._process = psutil.Process(popen.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def url(self) -> str:
        return f"http://{self.target.host}:{self.target.port}"

    def cpu_s(self) -> float:
        """CPU seconds that the process itself has used so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def pin(self, cores: Set[int]) -> None:
        """Move the process, its children and all their threads to these cores."""
        for process in [self._process, *self._process.children(recursive=True)]:
            for thread in process.threads():
                try:
                    os.sched_setaffinity(thread.id, cores)
                except ProcessLookupError:
                    continue

    def wait_ready(self, path: str, timeout_s: float) -> None:
        """Wait until a GET of `path` gives 200. Raises BenchmarkFailure, naming the log."""
        end = time.monotonic() + timeout_s
        while not _answers(self.url + path):
            if self._popen.poll() is not None:
                raise BenchmarkFailure(
                    f"{self.name} ended with code {self._popen.returncode}; see {self.log}"
                )
            if time.monotonic() > end:
                raise BenchmarkFailure(
                    f"{self.name} was not ready in {timeout_s:g} s; see {self.log}"
                )
            time.sleep(0.1)

    def wait(self, timeout_s: float) -> int:
        """The exit code. Raises BenchmarkFailure when it doesn't end in time."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise BenchmarkFailure(
                f"{self.name} did not end in {timeout_s:g} s; see {self.log}"
            ) from error

    def terminate(self) -> None:
        """Ask the whole process group to end, paused or not."""
        _signal_group(self._popen.pid, signal.SIGTERM)
        self.resume()

    def pause(self) -> None:
        """Take the whole process group off the processor, until `resume`."""
        _signal_group(self._popen.pid, signal.SIGSTOP)

    def resume(self) -> None:
        _signal_group(self._popen.pid, signal.SIGCONT)

    def stop(self, patience_s: float = STOP_S) -> None:
        """End the whole process group: politely first, after `patience_s` by force."""
        self.terminate()
        if not self._gone(patience_s):
            _signal_group(self._popen.pid, signal.SIGKILL)
            self._gone(STOP_S)

    def _gone(self, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            ended = self._popen.poll() is not None
            if ended and not _signal_group(self._popen.pid, 0):
                return True
            time.sleep(0.02)
        return False


class Processes:
    """Everything started here is stopped when the block ends, however it ends."""

    def __init__(self, logs: Path, patience_s: float = STOP_S) -> None:
        """`logs` is a folder; processes get `patience_s` to end when asked to."""
        self._logs = logs
        self._patience_s = patience_s
        self._running: list[Running] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        cores: Set[int],
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """Start a command on these cores; its output goes to the file `name`.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with on_cores(cores), log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(environment or {}),
                # A group of its own: Ctrl-C reaches us alone, and we end the group as a whole.
                start_new_session=True,
            )
        running = Running(name, popen, port, log)
        self._running.append(running)
        return running

    def stop(self, running: Running) -> None:
        running.stop(self._patience_s)
        self._running.remove(running)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for running in self._running:
            running.terminate()
        for running in self._running:
            running.stop(self._patience_s)
        self._running.clear()


def _signal_group(group: int, number: int) -> bool:
    """False when nothing is left of the group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
