"""The steps of an installation: run, shown, logged, and explained where one fails.

Runs on the system's Python with nothing but its library.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping


class StepFailed(Exception):
    """A step that has failed; its log has the reason."""


class StepRunner:
    """The runner of an installation's steps, which shows and logs what they print."""

    def __init__(
        self, lock_fd: int, write: Callable[[str], object], progress: InstallationProgress
    ) -> None:
        self._lock_fd = lock_fd
        self._write = write
        self.progress = progress

    def run(self, step: str, command: list[str]) -> None:
        """Raises StepFailed."""
        if not self.succeeds(step, command):
            raise StepFailed

    def succeeds(
        self, step: str, command: list[str], environ: Mapping[str, str] | None = None
    ) -> bool:
        self.progress.stage(step)
        write, line = self._write, self.progress.line
        return run_logged(command, self._lock_fd, write, line, environ) == 0


def run_logged(
    command: list[str],
    lock_fd: int,
    write: Callable[[str], object],
    line: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run to the end; every line of output goes to both callables."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock_fd],
        env=environ,
    ) as process:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                write(text)
                line(text)
            return process.wait()
        finally:
            process.kill()


class InstallationProgress:
    """The progress of an installation: a live line on a terminal, else a line per 10 s.

    A step that says nothing for minutes, as unpacking does, is still seen to go on, until `end`.
    """

    TICK_S = 1.0

    def __init__(self, name: str, packages: int, started: float) -> None:
        self.name, self.packages, self.started = name, packages, started
        self.seen = 0
        self.current = ""
        self.live = sys.stderr.isatty()
        self.shown = started
        self._ended = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        while not self._ended.wait(self.TICK_S):
            self.show(force=self.live)

    def stage(self, step: str) -> None:
        self.current = step
        self.show(force=True)

    def line(self, text: str) -> None:
        if match := re.match(r"(?:Collecting|Processing) (\S+)", text):
            self.seen += 1
            package = match[1].rsplit("/", 1)[-1].split("-cp")[0]
            self.current = f"{package} ({self.seen} of {self.packages})"
            self.show()
        elif text.startswith("Installing collected packages"):
            self.current = f"unpacking {self.packages} packages"
            self.show(force=True)

    def show(self, force: bool = False) -> None:
        now = time.monotonic()
        text = f"{self.name}: {self.current}, {now - self.started:.0f} s"
        if self.live:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
        elif self.current and (force or now - self.shown >= 10):
            self.shown = now
            report(text)

    def end(self) -> None:
        self._ended.set()
        if self.live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


UNREACHABLE = re.compile(
    r"name resolution|NewConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded"
    r"|ProxyError|SSLError|Network is unreachable|Connection refused"
)


def explain(log: str) -> str:
    """The reason why an installation failed, in one line, from pip's output."""
    if "No space left on device" in log:
        return "the disk is full: free some, or set TIERFLOW_CACHE to a folder on another disk"
    if mismatch := re.search(r"\n\s+(\S+) from \S+.*\n\s+Expected sha256", log):
        return (
            f"the index gives other bytes for {mismatch[1]} than the lock's hashes say: ask where "
            "they are from before you trust them"
        )
    if UNREACHABLE.search(log):
        return "the Python package index can't be reached: check the network, PIP_INDEX_URL"
    missing = re.search(
        r"(?:satisfies the requirement|No matching distribution found for) (\S+)", log
    )
    if missing and missing[1].startswith("torch=="):
        return (
            f"no index has {missing[1]}: add PyTorch's CPU wheel index as an extra index "
            "(PIP_EXTRA_INDEX_URL)"
        )
    if missing:
        return f"no index has a wheel of {missing[1]} for this Python and machine"
    errors = [line for line in log.splitlines() if line.strip()]
    return f"the installation failed: {errors[-1].strip() if errors else 'no output'}"


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
