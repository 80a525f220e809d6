"""Starts what is measured: the gateway, engines, the canned engine. Each is a process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from loadtest.measure.processes import HOST, Processes, Running, free_port

START_S = 30.0
ENGINE_START_S = 600.0


def start_gateway(
    processes: Processes,
    pools: Mapping[str, Running],
    *,
    cores: Set[int],
    folder: Path,
    family: Sequence[str] = (),
) -> Running:
    """A gateway with one pool per tier (`device`, `edge`, `cloud`), all else as shipped.

    Ready when every pool is. Raises BenchmarkFailure.
    """
    listed = {tier: {"tier": tier, "endpoints": [e.url]} for tier, e in pools.items()}
    settings = {"pools": listed, "family": list(family)}
    return start_gateway_with(processes, settings, cores=cores, folder=folder)


def start_gateway_with(
    processes: Processes, settings: Mapping[str, object], *, cores: Set[int], folder: Path
) -> Running:
    """A gateway with these settings, on a free port; ready when every pool is.

    Raises BenchmarkFailure.
    """
    port = free_port()
    settings = {"listen": {"host": HOST, "port": port}, **settings}
    # YAML is a superset of JSON.
    name = f"gateway-{port}"
    config = folder / f"{name}.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(settings, indent=1))
    command = [sys.executable, "-m", "gateway", "--config", str(config)]
    gateway = processes.start(name, command, cores=cores, port=port)
    gateway.wait_ready("/ready", START_S)
    return gateway


def start_canned_engine(
    processes: Processes, *, cores: Set[int], interval_ms: float = 5.0
) -> Running:
    """See `loadtest.measure.canned_engine`. Raises BenchmarkFailure."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "loadtest.measure.canned_engine"),
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
) -> Running:
    """A real engine; `wait_ready` is the caller's. It serves `model` as `name`, by default its
    folder's.

    `python` is that of the engine environment. Where the machine has a GPU, vLLM takes it.
    """
    port = free_port()
    name = name or model.name
    command = [
        *(python, "-m", "services.vllm_server", "--model", str(model)),
        *("--served-model-name", name, "--port", str(port), *arguments),
    ]
    return processes.start(f"vllm-{name}", command, cores=cores, port=port, environment=environment)
