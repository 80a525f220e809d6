"""Starts the real processes that tests talk to over HTTP: simulators, vLLM, the gateway.

Every process takes a free port, logs to a file, and ends with the test run, even when that is
killed. Waiting is polling an observable condition until a deadline.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from deploy.local.processes import die_with_parent
from tests.forked_process import ForkedProcess, is_program

CHECKOUT = Path(__file__).resolve().parent.parent
SHIPPED_FAMILY = CHECKOUT / "services/model_family/weights"
POLL_S = 0.02
# Making a client costs more than a request: TLS settings are read even where there is no TLS.
_http = httpx.Client(trust_env=False, timeout=5)
Found = TypeVar("Found")


def eventually(
    look: Callable[[], Found], what: str, seconds: float = 20.0, pause: float = POLL_S
) -> Found:
    """The first true value of `look()`. Raises AssertionError when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@dataclass
class Server:
    """A process that serves HTTP at `url`; what it prints goes to `log`."""

    name: str
    process: subprocess.Popen[bytes] | ForkedProcess
    log: Path
    url: str

    @property
    def id(self) -> str:
        """How the gateway names this endpoint."""
        return self.url.removeprefix("http://")

    def output(self) -> str:
        """What it has printed; "" where that went to a device or a pipe."""
        return self.log.read_text(errors="replace") if self.log.is_file() else ""

    def logged(self, **fields: object) -> list[dict[str, Any]]:
        """The lines of its log, which is JSON, that have these fields. A line comes a moment after
        what it tells of."""
        lines = [line for line in self.output().splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, lines) if fields.items() <= line.items()]

    def answers(self, path: str) -> bool:
        """Whether a GET gives 200. Raises AssertionError when the process has ended."""
        code = self.process.poll()
        assert code is None, f"{self.name} ended with {code}: {self.output()[-2000:]}"
        try:
            return _http.get(self.url + path).status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        page = _http.get(self.url + "/metrics").text
        return metric_in(page, name, **labels)

    def stop(self) -> None:
        """Ask it to end, then make it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def metric_in(page: str, name: str, **labels: str) -> float:
    total = 0.0
    for line in page.splitlines():
        head, _, value = line.rpartition(" ")
        series = head.partition("{")[0]
        if series == name and all(f'{key}="{wanted}"' in head for key, wanted in labels.items()):
            total += float(value)
    return total


def start(
    name: str,
    command: Sequence[str],
    folder: Path,
    url: str,
    env: Mapping[str, str] | None = None,
    output_to: Path | None = None,
) -> Server:
    """`output_to`: a device or pipe for what it prints, in place of a log in the folder."""
    log = output_to or folder / f"{name}-{time.monotonic_ns()}.log"
    if output_to is None:
        log.touch()
    if is_program(command):
        forked = ForkedProcess(command, log, {**os.environ, **(env or {})})
        return Server(name, forked, log, url)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
    return Server(name, process, log, url)


def start_simulator(model: str, folder: Path, *flags: str, port: int = 0) -> Server:
    """Port 0 takes a free one; the simulator says which."""
    command = [sys.executable, "-m", "services.engine_simulator", "--model", model]
    server = start(model, [*command, "--port", str(port), *flags], folder, "")

    def address() -> str:
        assert server.process.poll() is None, server.output()
        return server.output().partition(" at ")[2].strip()

    server.url = eventually(address, f"the simulator of {model} says its address")
    return server


def start_vllm(
    python: str,
    model: Path,
    cores: str,
    folder: Path,
    *flags: str,
    mailbox: int | None = None,
    secret: str = "",
    choice: str = "goodput",
) -> Server:
    """Starts loading; wait for `answers("/health")`. `python` is the engine environment's.

    With a port as `mailbox` it verifies drafts that are left there under `secret`, as many as
    `choice` says.
    """
    port = free_port()
    command = [python, "-m", "services.vllm_server", "--model", str(model)]
    command += ["--served-model-name", model.name, "--port", str(port), "--cores", cores]
    if mailbox is not None:
        command += ["--draft-mailbox", f"127.0.0.1:{mailbox}", "--draft-choice", choice]
    url = f"http://127.0.0.1:{port}"
    environment = {"TIERFLOW_DRAFT_SECRET": secret}
    return start(model.name, [*command, "--", *flags], folder, url, environment)


def start_gateway(
    config: dict[str, Any], folder: Path, ready: bool = True, output_to: Path | None = None
) -> Server:
    """`config` has no address in `listen`. Waits until it is ready, or only until it is alive."""
    port = free_port()
    file = folder / f"gateway-{port}.yaml"
    listen = {"host": "127.0.0.1", "port": port, **config.get("listen", {})}
    file.write_text(yaml.safe_dump({**config, "listen": listen}))
    command = [sys.executable, "-m", "gateway", "--config", str(file)]
    url = f"http://127.0.0.1:{port}"
    server = start("gateway", command, folder, url, output_to=output_to)
    path = "/ready" if ready else "/health"
    eventually(lambda: server.answers(path), f"the gateway answers {path}", 60)
    return server
