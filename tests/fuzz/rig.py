"""A real gateway before two simulated engines, for whatever fuzzing sends."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.deployment import gateway_config
from tests.servers import Server, eventually, start_gateway, start_simulator

ADMIN_TOKEN = "the operators' token of a fuzzed gateway"
DEVICE_TOKEN = "tfd_a device's token of a fuzzed gateway"
DEVICE = "fuzzed"
MODELS = ("rill-edge", "rill-cloud")


@dataclass(frozen=True)
class Rig:
    """The servers, and the gateway's own words about its faults."""

    gateway: Server
    engines: tuple[Server, Server]

    @property
    def url(self) -> str:
        return self.gateway.url

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port

    def alive(self) -> bool:
        return self.gateway.process.poll() is None and self.gateway.answers("/health")

    def complaints(self) -> list[str]:
        """The lines of the log that tell of a fault of the gateway's own, each kind once."""
        kinds: dict[str, str] = {}
        for line in self.gateway.output().splitlines():
            if "internal_error" in line or "Traceback" in line or '"level":"error"' in line:
                kinds.setdefault(line[:80] if "Traceback" in line else _kind(line), line)
        return list(kinds.values())


def _kind(line: str) -> str:
    """Without what differs from line to line."""
    return "".join(character for character in line if not character.isdigit())[-160:]


def start_rig(folder: Path, stack: ExitStack) -> Rig:
    """`stack` stops it."""
    engines = []
    for model in MODELS:
        flags = ("--decode-tokens-per-s", "20000", "--max-model-len", "2048")
        engines.append(start_simulator(model, folder, *flags))
        stack.callback(engines[-1].stop)
    config = gateway_config(
        engines[:1],
        engines[1:],
        admin={"token": ADMIN_TOKEN},
        devices={"tokens": {DEVICE: hashlib.sha256(DEVICE_TOKEN.encode()).hexdigest()}},
        timeouts={"body_s": 2.0},
    )
    gateway = start_gateway(config, folder)
    stack.callback(gateway.stop)
    eventually(lambda: gateway.answers("/ready"), "the gateway is ready")
    return Rig(gateway, (engines[0], engines[1]))
