"""What the benchmark runs: two engines, Redis where it is installed, a gateway, the devices."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loadtest.collective.plan import GENERALIST, SPECIALISTS, CollectivePlan
from loadtest.measure.command import BenchmarkFailure, Progress
from loadtest.measure.processes import HOST, Cores, Process, Processes, free_port, wait_until
from loadtest.measure.servers import (
    START_S,
    start_device,
    start_draft_verifier,
    start_gateway,
    token_hashes,
    wait_for_engine,
)
from loadtest.measure.settings import TIERS, Settings

LEASE_S, HEARTBEAT_S = 3.0, 1.0


def device_models(family: Mapping[str, Path]) -> dict[str, Path]:
    """The model folder of each kind of device, the generalist's first.

    Raises BenchmarkFailure with exit code 2, naming the folder that is missing.
    """
    small = family["device"]
    models = {GENERALIST: small}
    for name in SPECIALISTS:
        folder = small.parent / f"{small.name}-{name}"
        if not (folder / "config.json").is_file():
            raise BenchmarkFailure(
                f"a specialist is missing: there is no {folder}/config.json; run "
                "`python -m services.model_family specialise --all` in the engine environment",
                2,
            )
        models[name] = folder
    return models


@dataclass(slots=True, kw_only=True)
class Fleet:
    """A gateway and the devices behind it.

    `models` has the model folder of each kind of device; `devices` those that run, by name;
    `tokens` the token of each that may run; `admin` is the operator's token.
    """

    processes: Processes
    cores: Cores
    folder: Path
    models: Mapping[str, Path]
    tokens: Mapping[str, str]
    admin: str
    gateway: Process
    devices: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.gateway.url

    def start_device(self, name: str, model: Path, *arguments: str) -> None:
        """Start a device without waiting for it: see `wait_for`."""
        self.devices[name] = start_device(
            self.processes,
            f"device-{name}",
            model=model,
            gateway=self.url,
            token=self.tokens[name],
            folder=self.folder,
            cores=self.cores.measured,
            arguments=("--max-work", "8", *arguments),
        )

    def start_devices(self, models: Mapping[str, Path], *arguments: str) -> None:
        """Start these devices, and wait until they are registered. Raises BenchmarkFailure."""
        for name, model in models.items():
            self.start_device(name, model, *arguments)
        self.wait_for(models.keys())

    def stop_devices(self) -> None:
        """Stop all devices, and wait until none is registered. Raises BenchmarkFailure."""
        for device in self.devices.values():
            self.processes.stop(device)
        self.devices.clear()
        self.wait_for(set())

    def registered(self) -> set[str]:
        """Devices that are members at the gateway now."""
        response = httpx.get(
            f"{self.url}/v1/devices",
            headers={"authorization": f"Bearer {self.admin}"},
            params={"limit": 100},
            trust_env=False,
        )
        response.raise_for_status()
        return {device["id"] for device in response.json()["data"] if device["registration"]}

    def wait_for(self, names: Set[str]) -> None:
        """Wait until these devices and no others are registered. Raises BenchmarkFailure."""
        listed = ", ".join(sorted(names)) or "no device"
        wait_until(
            lambda: self.registered() == names,
            START_S,
            f"the gateway's registered devices did not become these within {START_S:g} s: {listed}",
        )


def start_fleet(
    processes: Processes,
    settings: Settings[CollectivePlan],
    *,
    models: Mapping[str, Path],
    names: Sequence[str],
    cores: Cores,
    progress: Progress,
) -> Fleet:
    """Engines and gateway ready; no device runs yet. Raises BenchmarkFailure.

    `names` are all devices that the gateway lets in.
    """
    settings.logs.mkdir(parents=True, exist_ok=True)
    tokens = {name: secrets.token_urlsafe(24) for name in names}
    admin = secrets.token_urlsafe(24)
    progress("starting two vLLM engines")
    gateway_settings: dict[str, object] = {
        "pools": _start_pools(processes, settings, cores, progress),
        "family": [settings.family[tier].name for tier in TIERS],
        "admin": {"token": admin},
        "devices": {
            "tokens": token_hashes(tokens),
            "lease_s": LEASE_S,
            "heartbeat_s": HEARTBEAT_S,
        },
    }
    if (url := _start_redis(processes, cores, settings.logs)) is not None:
        gateway_settings["state"] = {"redis": {"url": url}}
    else:
        progress("redis-server is not installed: the gateway keeps its state in memory")
    gateway = start_gateway(processes, gateway_settings, cores=cores.measured, folder=settings.logs)
    return Fleet(
        processes=processes,
        cores=cores,
        folder=settings.logs,
        models=models,
        tokens=tokens,
        admin=admin,
        gateway=gateway,
    )


def _start_pools(
    processes: Processes, settings: Settings[CollectivePlan], cores: Cores, progress: Progress
) -> dict[str, object]:
    """Engines of the cloud and the edge, ready; gives the gateway's settings of their pools."""
    secret = secrets.token_hex(16)
    verifiers = [
        start_draft_verifier(
            processes,
            settings.engine_python,
            settings.family[tier],
            tier=tier,
            secret=secret,
            cores=cores,
        )
        for tier in ("cloud", "edge")
    ]
    for verifier in verifiers:
        wait_for_engine(verifier.engine, cores.others, progress)
    return {verifier.tier: verifier.pool() for verifier in verifiers}


def _start_redis(processes: Processes, cores: Cores, folder: Path) -> str | None:
    """The address of a Redis; None where it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    port = free_port()
    command = [
        *(program, "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"),
        *("--dir", str(folder)),
    ]
    processes.start("redis", command, cores=cores.measured, port=port)
    return f"redis://{HOST}:{port}/0"
