"""One instance on disk: its logs, the record of its processes, and the lock of who holds it.

The instance on port N owns `STATE/tierflow/N/`. Its runner holds a lock there for as long as it
lives, so that a record without a holder is one left by a runner that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

SWEEP_SECONDS = 5.0


class AlreadyUp(Exception):
    """The instance is held by another runner, whose process id is `pid`."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(pid)
        self.pid = pid


@dataclass(frozen=True)
class Leader:
    """The first process of a session that the runner started: with its children, one part."""

    name: str
    pid: int
    created: float
    """Unix time of its start: distinguishes it from a later process with the same pid."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The record of what a runner has started."""

    runner: int
    boot: str
    """Id of the machine's boot: after another one, pids mean nothing."""
    temporary: str
    """Folder for the parts' temporary files, removed with them."""
    leaders: list[Leader] = field(default_factory=list)


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


class Instance:
    """The folder of one instance, with its lock and its record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._lock_file = folder / "lock"
        self._record = folder / "running.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the instance for as long as the context lasts. Raises AlreadyUp."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                record = self.read()
                raise AlreadyUp(record.runner if record else None) from error
            yield

    def is_locked(self) -> bool:
        """Whether a runner holds the instance now."""
        if not self._lock_file.exists():
            return False
        with self._lock_file.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def write(self, record: Record) -> None:
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(asdict(record), indent=1))
        new.replace(self._record)

    def read(self) -> Record | None:
        """The record of the last runner, None if it left nothing behind."""
        try:
            raw = json.loads(self._record.read_text())
            leaders = [Leader(**leader) for leader in raw.pop("leaders")]
            return Record(**raw, leaders=leaders)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def sweep(self, patience: float = SWEEP_SECONDS) -> int:
        """End every process of the record and delete it; gives how many there still were.

        They get `patience` seconds to end by themselves before they are killed.
        """
        record = self.read()
        if record is None:
            return 0
        remaining = [] if record.boot != boot_id() else processes_of(record.leaders)
        end(remaining, patience)
        shutil.rmtree(record.temporary, ignore_errors=True)
        self._record.unlink(missing_ok=True)
        return len(remaining)


def processes_of(leaders: list[Leader]) -> list[psutil.Process]:
    """All live processes in the sessions of these leaders, even where the leader is gone."""
    sessions = {leader.pid for leader in leaders if not _replaced(leader)}
    processes = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except (OSError, psutil.Error):
            continue
    return processes


def _replaced(leader: Leader) -> bool:
    """Whether the leader's pid belongs to another process by now."""
    try:
        return bool(abs(psutil.Process(leader.pid).create_time() - leader.created) > 1.0)
    except psutil.Error:
        return False


def end(processes: list[psutil.Process], patience: float) -> None:
    """Ask the processes to end, and kill those that don't."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=SWEEP_SECONDS)


def stop_runner(instance: Instance, timeout: float) -> bool:
    """Ask the instance's runner to stop everything and wait for it; False if it did not."""
    record = instance.read()
    if record is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(record.runner, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while instance.is_locked():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
