"""Processes that a benchmark starts: on chosen cores, with a log each, and none left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.http_client import Target
from loadtest.measure.settings import CHECKOUT

STOP_S = 10.0
COMMAND_S = 120.0
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of what is measured, and those of everything else.

    What is measured must not share its core with the load on it.
    """

    measured: Set[int]
    others: Set[int]

    @classmethod
    def split(cls, available: Set[int]) -> Cores:
        """The last core is for what is measured; a single one is used by all."""
        last = max(available)
        return cls(frozenset({last}), frozenset(available - {last}) or frozenset({last}))

    @property
    def all(self) -> Set[int]:
        return self.measured | self.others


@contextmanager
def on_cores(cores: Set[int]) -> Iterator[None]:
    """This process, and what it starts meanwhile, runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], timeout_s: float, failure: str) -> None:
    """Wait until the condition holds. Raises BenchmarkFailure with the message `failure`."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise BenchmarkFailure(failure)
        time.sleep(0.1)


def output_of(name: str, command: Sequence[str], timeout_s: float = COMMAND_S) -> str:
    """Run a command of this checkout to its end; gives its standard output.

    Raises BenchmarkFailure with the command's last line of errors.
    """
    try:
        done = subprocess.run(
            command, cwd=CHECKOUT, capture_output=True, text=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkFailure(f"{name} did not end in {timeout_s:g} s") from error
    if done.returncode != 0:
        exit_code = 2 if done.returncode == 2 else 1
        raise BenchmarkFailure(f"{name}: {last_line(done.stderr)}", exit_code)
    return done.stdout


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no output"


class Process:
    """A process that was started, its log, and the port that it serves (0: none)."""

    def __init__(self, *, name: str, popen: subprocess.Popen[bytes], port: int, log: Path) -> None:
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
        self._each_thread(lambda thread: os.sched_setaffinity(thread, cores))

    def give_way(self) -> None:
        """From now on run only when nothing else wants the core, children and threads included."""
        idle = os.sched_param(0)
        self._each_thread(lambda thread: os.sched_setscheduler(thread, os.SCHED_IDLE, idle))

    def _each_thread(self, change: Callable[[int], None]) -> None:
        for process in [self._process, *self._process.children(recursive=True)]:
            for thread in process.threads():
                try:
                    change(thread.id)
                except ProcessLookupError:
                    continue

    def wait_ready(self, path: str, timeout_s: float) -> None:
        """Wait until a GET of `path` gives 200. Raises BenchmarkFailure, naming the log."""
        self.wait_for(lambda: _is_served(self.url + path), timeout_s)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until the condition holds. Raises BenchmarkFailure, naming the log."""

        def holds() -> bool:
            if condition():
                return True
            if self._popen.poll() is not None:
                raise BenchmarkFailure(
                    f"{self.name} ended with code {self._popen.returncode}; see {self.log}"
                )
            return False

        wait_until(
            holds, timeout_s, f"{self.name} was not ready in {timeout_s:g} s; see {self.log}"
        )

    def wait(
        self, timeout_s: float, *, every_s: float = 60.0, step: Callable[[], None] | None = None
    ) -> int:
        """The exit code; `step` is called each `every_s` seconds until then.

        Raises BenchmarkFailure when the process doesn't end in time.
        """
        end = time.monotonic() + timeout_s
        while (remaining := end - time.monotonic()) > 0:
            try:
                return self._popen.wait(min(every_s, remaining))
            except subprocess.TimeoutExpired:
                if step is not None:
                    step()
        raise BenchmarkFailure(f"{self.name} did not end in {timeout_s:g} s; see {self.log}")

    def terminate(self) -> None:
        """Ask the whole process group to end, paused or not."""
        _signal_group(self._popen.pid, signal.SIGTERM)
        self.resume()

    def pause(self) -> None:
        """Take the whole process group off the processor, until `resume`."""
        _signal_group(self._popen.pid, signal.SIGSTOP)

    def resume(self) -> None:
        _signal_group(self._popen.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the whole process group at once, as a crash would."""
        _signal_group(self._popen.pid, signal.SIGKILL)

    def stop(self, patience_s: float = STOP_S) -> None:
        """Ask the whole process group to end, and kill it after `patience_s`."""
        self.terminate()
        if not self._has_ended(patience_s):
            self.kill()
            self._has_ended(STOP_S)

    def _has_ended(self, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            ended = self._popen.poll() is not None
            if ended and not _signal_group(self._popen.pid, 0):
                return True
            time.sleep(0.02)
        return False


class Processes:
    """The processes of one benchmark: all are stopped when the block ends, however it ends."""

    def __init__(self, logs: Path, patience_s: float = STOP_S) -> None:
        """`logs` is a folder; processes get `patience_s` to end when asked to."""
        self._logs = logs
        self._patience_s = patience_s
        self._running: list[Process] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        cores: Set[int],
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a command of this checkout on these cores; its output goes to `name`.log."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        with on_cores(cores), log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(environment or {}),
                # A group of its own: Ctrl-C reaches us alone, and we end the group as a whole.
                start_new_session=True,
            )
        process = Process(name=name, popen=popen, port=port, log=log)
        self._running.append(process)
        return process

    def stop(self, process: Process) -> None:
        process.stop(self._patience_s)
        self._running.remove(process)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.stop(self._patience_s)
        self._running.clear()


def _signal_group(group: int, number: int) -> bool:
    """False when nothing remains of the group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _is_served(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
