"""What the benchmark runs: two engines, Redis where it is installed, a gateway, the devices."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loadtest.collective.settings import Settings
from loadtest.measure.cores import Cores
from loadtest.measure.failure import BenchmarkFailure
from loadtest.measure.processes import HOST, Processes, Running, free_port
from loadtest.measure.progress import Progress
from loadtest.measure.serving import ENGINE_START_S, START_S, start_gateway_with, start_vllm

KV_GIB = "0.25"
LEASE_S, HEARTBEAT_S = 3.0, 1.0


@dataclass(slots=True)
class Fleet:
    """`devices` by name; `admin` is the operator's token."""

    processes: Processes
    settings: Settings
    cores: Cores
    folder: Path
    tokens: Mapping[str, str]
    admin: str
    gateway: Running | None = None
    devices: dict[str, Running] = field(default_factory=dict)

    @property
    def url(self) -> str:
        assert self.gateway is not None
        return self.gateway.url

    def start_device(self, name: str, model: Path, *arguments: str) -> None:
        """Not waited for: see `wait_for`."""
        token = self.folder / f"{name}.token"
        token.write_text(self.tokens[name])
        token.chmod(0o600)
        command = [
            *(sys.executable, "-m", "services.device_agent", "--model", str(model), "--no-api"),
            *("--gateway", self.url, "--token-file", str(token), "--threads", "1"),
            *("--max-work", "8", *arguments),
        ]
        self.devices[name] = self.processes.start(
            f"device-{name}", command, cores=self.cores.measured
        )

    def registered(self) -> set[str]:
        """Devices that the gateway takes for members now."""
        answer = httpx.get(
            f"{self.url}/v1/devices",
            headers={"authorization": f"Bearer {self.admin}"},
            params={"limit": 100},
            trust_env=False,
        )
        answer.raise_for_status()
        return {one["id"] for one in answer.json()["data"] if one["registration"]}

    def wait_for(self, names: Set[str]) -> None:
        """Until these and no others are registered. Raises BenchmarkFailure."""
        end = time.monotonic() + START_S
        while (found := self.registered()) != names:
            if time.monotonic() > end:
                wrong = ", ".join(sorted(found ^ names))
                raise BenchmarkFailure(f"registered or gone against expectation: {wrong}")
            time.sleep(0.1)


def start(
    processes: Processes, settings: Settings, names: Sequence[str], cores: Cores, tell: Progress
) -> Fleet:
    """Engines and gateway ready; no device runs yet. Raises BenchmarkFailure."""
    folder = settings.common.results / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    tokens = {name: secrets.token_urlsafe(24) for name in names}
    fleet = Fleet(processes, settings, cores, folder, tokens, secrets.token_urlsafe(24))
    tell("starting two vLLM engines")
    pools = _engines(processes, settings, cores, tell)
    wanted: dict[str, object] = {
        "pools": pools,
        "family": [settings.common.family[tier].name for tier in ("device", "edge", "cloud")],
        "admin": {"token": fleet.admin},
        "devices": {
            "tokens": {n: hashlib.sha256(t.encode()).hexdigest() for n, t in tokens.items()},
            "lease_s": LEASE_S,
            "heartbeat_s": HEARTBEAT_S,
        },
    }
    if (url := _redis(processes, cores, folder)) is not None:
        wanted["state"] = {"redis": {"url": url}}
    else:
        tell("redis-server is not installed: the gateway keeps its state in memory")
    fleet.gateway = start_gateway_with(processes, wanted, cores=cores.measured, folder=folder)
    return fleet


def _engines(
    processes: Processes, settings: Settings, cores: Cores, tell: Progress
) -> dict[str, object]:
    secret = secrets.token_hex(16)
    pools: dict[str, object] = {}
    engines = []
    for tier in ("cloud", "edge"):
        mailbox = f"{HOST}:{free_port()}"
        engine = start_vllm(
            processes,
            settings.common.engine_python,
            settings.common.family[tier],
            cores=cores.others | cores.measured,
            arguments=(
                *("--cores", str(min(cores.others)), "--kv-cache-gib", KV_GIB),
                *("--draft-mailbox", mailbox),
            ),
            environment={"TIERFLOW_DRAFT_SECRET": secret},
        )
        engines.append(engine)
        pools[tier] = {
            "tier": tier,
            "endpoints": [engine.url],
            "mailboxes": [mailbox],
            "mailbox_secret": secret,
        }
    for engine in engines:
        engine.wait_ready("/health", ENGINE_START_S)
        engine.pin(cores.others)
        tell(f"{engine.name} is ready")
    return pools


def _redis(processes: Processes, cores: Cores, folder: Path) -> str | None:
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
