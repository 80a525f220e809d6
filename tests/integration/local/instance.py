"""An instance of `make up` in a process of its own, with simulated engines on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from deploy.local.settings import CHECKOUT

GIVE_UP_SECONDS = 120.0
"""A runner that hangs is killed after this long, so that a test fails instead of waiting."""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        listeners = [
            held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@dataclass
class Run:
    """A finished or running `python -m deploy.local up`."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    ports: list[int]
    """Gateway, edge, cloud."""
    folder: Path
    lines: list[str]

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def read_until(self, *texts: str) -> str:
        """The first further line with one of these texts; fails when the output ends without."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if any(text in line for text in texts):
                return self.lines[-1]
        raise AssertionError(f"no line with {' or '.join(texts)!r} in:\n{self.log}")

    def wait(self) -> int:
        """Read the rest of the output; the exit code."""
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip("\n") for line in self.process.stdout)
        return self.process.wait()

    def record(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "running.json").read_text())
        return loaded

    def part(self, name: str) -> psutil.Process:
        pids = {leader["name"]: leader["pid"] for leader in self.record()["leaders"]}
        return psutil.Process(pids[name])

    def sessions(self) -> set[int]:
        return {leader["pid"] for leader in self.record()["leaders"]}

    def down(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deploy.local", "down"]
        return subprocess.run(
            command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True
        )


def members(sessions: set[int]) -> list[int]:
    """Processes that still run in these sessions."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


@contextlib.contextmanager
def up(state: Path, **variables: str) -> Iterator[Run]:
    """Start an instance; whatever the test does, nothing of it is left afterwards."""
    with up_at(free_ports(3), state, **variables) as run:
        yield run


@contextlib.contextmanager
def up_at(ports: list[int], state: Path, **variables: str) -> Iterator[Run]:
    """The same, at the ports of its gateway, edge and cloud."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TIERFLOW_")}
    environment = inherited | {
        "TIERFLOW_ENGINE": "simulator",
        "TIERFLOW_STATE": str(state),
        "TIERFLOW_PORT": str(ports[0]),
        "TIERFLOW_EDGE_PORT": str(ports[1]),
        "TIERFLOW_CLOUD_PORT": str(ports[2]),
        **variables,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "up"],
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        folder = state / "tierflow" / environment["TIERFLOW_PORT"]
        run = Run(process, environment, ports, folder, [])
        guard = threading.Timer(GIVE_UP_SECONDS, process.kill)
        guard.start()
        try:
            yield run
        finally:
            guard.cancel()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                run.wait()
            # What it leaves is on record, and most tests leave nothing.
            if (run.folder / "running.json").exists():
                run.down()
