"""The servers that benchmarks start, each a process: gateway, engines, canned engine, devices."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.http_client import Target
from loadtest.measure.processes import HOST, Cores, Process, Processes, free_port

START_S = 90.0
ENGINE_START_S = 600.0
ONE_CORE_KV_GIB = "0.25"
"""KV cache of an engine that shares a core with others and serves one request at a time."""


def start_gateway(
    processes: Processes,
    settings: Mapping[str, object],
    *,
    cores: Set[int],
    folder: Path,
    port: int = 0,
    start: int = 1,
    within: Sequence[str] = (),
) -> Process:
    """A gateway with these settings, on this port or a free one; ready when every pool is.

    `start` counts the starts at this port: each has a log of its own. `within` is a command that
    runs the one that follows it, as unshare(1) does. Raises BenchmarkFailure.
    """
    port = port or free_port()
    settings = {"listen": {"host": HOST, "port": port}, **settings}
    # YAML is a superset of JSON.
    name = f"gateway-{port}"
    config = folder / f"{name}.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(settings, indent=1))
    command = [*within, sys.executable, "-m", "gateway", "--config", str(config)]
    log = name if start == 1 else f"{name}-{start}"
    gateway = processes.start(log, command, cores=cores, port=port)
    gateway.wait_ready("/ready", START_S)
    return gateway


def start_simulator(
    processes: Processes,
    model: str,
    *,
    cores: Set[int],
    arguments: Sequence[str] = (),
    port: int = 0,
) -> Process:
    """A simulated engine, on this port or a free one. Raises BenchmarkFailure."""
    port = port or free_port()
    command = [
        *(sys.executable, "-m", "services.engine_simulator", "--model", model),
        *("--port", str(port), *arguments),
    ]
    engine = processes.start(f"simulator-{port}", command, cores=cores, port=port)
    engine.wait_ready("/health", START_S)
    return engine


def start_redis(processes: Processes, *, cores: Set[int], folder: Path, port: int = 0) -> Process:
    """A redis-server that saves nothing, on this port or a free one. Raises BenchmarkFailure."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise BenchmarkFailure(
            "redis-server is not installed; Debian's package redis-server has it", 2
        )
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(binary, "--port", str(port), "--bind", HOST, "--dir", str(folder)),
        *("--save", "", "--appendonly", "no", "--protected-mode", "no"),
    ]
    server = processes.start(f"redis-{port}", command, cores=cores, port=port)
    server.wait_for(lambda: _accepts(port), START_S)
    return server


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def start_canned_engine(
    processes: Processes, *, cores: Set[int], interval_ms: float = 5.0
) -> Process:
    """See `loadtest.canned_engine`. Raises BenchmarkFailure."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "loadtest.canned_engine"),
        *("--port", str(port), "--interval-ms", str(interval_ms)),
    ]
    engine = processes.start(f"canned-engine-{port}", command, cores=cores, port=port)
    engine.wait_ready("/health", START_S)
    return engine


def start_vllm(
    processes: Processes,
    python: str,
    model: Path,
    *,
    cores: Set[int],
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    name: str | None = None,
    port: int = 0,
) -> Process:
    """A real engine that serves `model` as `name`, by default under its folder's name.

    It is not ready yet: see `wait_for_engine`. `python` is that of the engine environment. Where
    the machine has a GPU, vLLM takes it.
    """
    log = f"vllm-{name or model.name}" + (f"-{port}" if port else "")
    port = port or free_port()
    name = name or model.name
    command = [
        *(python, "-m", "services.vllm_server", "--model", str(model)),
        *("--served-model-name", name, "--port", str(port), *arguments),
    ]
    return processes.start(log, command, cores=cores, port=port, environment=environment)


def one_core_arguments(cores: Cores) -> tuple[str, ...]:
    """Arguments of an engine whose model computes on one core, beside that of what is measured."""
    return ("--cores", str(min(cores.others)), "--kv-cache-gib", ONE_CORE_KV_GIB)


def wait_for_engine(engine: Process, cores: Set[int], progress: Progress) -> None:
    """Wait until the engine is ready, then move it to these cores. Raises BenchmarkFailure."""
    engine.wait_ready("/health", ENGINE_START_S)
    engine.pin(cores)
    progress(f"{engine.name} is ready")


def pool(tier: str, engine: Process) -> dict[str, object]:
    """The gateway's settings of a pool with this engine as its only endpoint."""
    return pool_at(tier, engine.url)


def pool_at(tier: str, url: str) -> dict[str, object]:
    """The same of an engine that the gateway reaches at this address, as through a link."""
    return {"tier": tier, "endpoints": [url]}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftVerifier:
    """An engine that verifies drafts, which the gateway sends to its mailbox with the secret."""

    tier: str
    engine: Process
    mailbox: str
    secret: str

    def pool(self) -> dict[str, object]:
        """The gateway's settings of a pool with this engine as its only endpoint."""
        mailbox = {"mailboxes": [self.mailbox], "mailbox_secret": self.secret}
        return {**pool(self.tier, self.engine), **mailbox}


def step_wait(least_step_ms: float) -> dict[str, str]:
    """Variables by which each step of an engine takes at least so long; none for 0."""
    return {"TIERFLOW_STEP_WAIT_MS": f"{least_step_ms:g}"} if least_step_ms else {}


def start_draft_verifier(
    processes: Processes,
    python: str,
    model: Path,
    *,
    tier: str,
    secret: str,
    cores: Cores,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> DraftVerifier:
    """A vLLM on one core that takes drafts; see `start_vllm`, `wait_for_engine`."""
    mailbox = f"{HOST}:{free_port()}"
    engine = start_vllm(
        processes,
        python,
        model,
        cores=cores.all,
        arguments=(*one_core_arguments(cores), "--draft-mailbox", mailbox),
        environment={**(environment or {}), "TIERFLOW_DRAFT_SECRET": secret},
        name=name,
    )
    return DraftVerifier(tier=tier, engine=engine, mailbox=mailbox, secret=secret)


@dataclass(frozen=True, slots=True)
class Links:
    """Emulated links of one process: the port of each's near end by name, and the port at which
    `loadtest.link.control.Control` changes their conditions."""

    ports: Mapping[str, int]
    control_port: int

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"


def start_links(
    processes: Processes, name: str, ends: Mapping[str, Target], *, cores: Set[int]
) -> Links:
    """A link to each of the ends, all without delay so far. Raises BenchmarkFailure."""
    links = Links({end: free_port() for end in ends}, free_port())
    command = [sys.executable, "-m", "loadtest.link", "--control", str(links.control_port)]
    for end, target in ends.items():
        command += ["--listen", str(links.ports[end]), "--to", f"{target.host}:{target.port}"]
    emulator = processes.start(name, command, cores=cores)
    emulator.wait_for(lambda: b"ready" in emulator.log.read_bytes(), START_S)
    return links


def token_hashes(tokens: Mapping[str, str]) -> dict[str, str]:
    """The gateway's `devices.tokens`, of the devices' tokens by name."""
    return {name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()}


def start_device(
    processes: Processes,
    name: str,
    *,
    model: Path,
    gateway: str,
    token: str,
    folder: Path,
    cores: Set[int],
    port: int = 0,
    arguments: Sequence[str] = (),
) -> Process:
    """A device agent that connects to the gateway's address; it is not ready yet.

    `folder` gets the file with its token. It serves its own API only where `port` is given.
    """
    file = folder / f"{name}.token"
    file.write_text(token)
    file.chmod(0o600)
    api = ("--host", HOST, "--port", str(port)) if port else ("--no-api",)
    command = [
        *(sys.executable, "-m", "services.device_agent", "--model", str(model)),
        *("--gateway", gateway, "--token-file", str(file), "--threads", "1", *api, *arguments),
    ]
    return processes.start(name, command, cores=cores, port=port)
