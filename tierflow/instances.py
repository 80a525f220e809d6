"""What runs on this machine: the instances that `tierflow up` has started, and how they are."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from deploy.local.components import GATEWAY_CONFIG
from deploy.local.instance import Instance, Leader, boot_id
from deploy.local.instance_secrets import ADMIN_TOKEN
from deploy.local.settings import HOST, instance_folder

LOOK_S = 2.0


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """A part: its first process, seconds since that began, its address ("" for a device), and what
    is known of its health."""

    name: str
    pid: int
    alive: bool
    seconds: float
    address: str
    health: str


@dataclass(frozen=True, kw_only=True)
class InstanceStatus:
    """An instance on its port. `problem`: why it is not ready; "" where it is."""

    port: int
    running: bool
    runner: int
    seconds: float
    parts: tuple[PartStatus, ...]
    problem: str
    logs: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ready(self) -> bool:
        return self.running and not self.problem

    def as_json(self) -> dict[str, Any]:
        told = asdict(self) | {"url": self.url, "ready": self.ready, "logs": str(self.logs)}
        return {"url": told.pop("url"), "ready": told.pop("ready"), **told}


def status_of_all() -> list[InstanceStatus]:
    """The instances that run, by their ports."""
    root = instance_folder(0).parent
    ports = sorted(int(each.name) for each in root.glob("*") if each.name.isdigit())
    return [each for port in ports if (each := instance_status(port)).running]


def instance_status(port: int) -> InstanceStatus:
    """How the instance is whose gateway has this port."""
    instance = Instance(instance_folder(port))
    record = instance.read()
    if record is None or record.boot != boot_id() or not instance.is_locked():
        return InstanceStatus(
            port=port,
            running=False,
            runner=0,
            seconds=0.0,
            parts=(),
            problem="nothing is running",
            logs=instance.logs,
        )
    with httpx.Client(trust_env=False, timeout=LOOK_S) as client:
        ready = _gateways_word(client, port, instance)
        parts = [_part(client, leader, port, instance) for leader in record.leaders]
    ended = [part.name for part in parts if not part.alive]
    problem = f"ended: {', '.join(ended)}" if ended else ready
    return InstanceStatus(
        port=port,
        running=True,
        runner=record.runner,
        seconds=_age(record.runner, None),
        parts=tuple(parts),
        problem=problem if parts else "starting",
        logs=instance.logs,
    )


def _part(client: httpx.Client, leader: Leader, port: int, instance: Instance) -> PartStatus:
    address = _addresses(instance, port).get(leader.name, "")
    alive = _age(leader.pid, leader.created) > 0
    return PartStatus(
        name=leader.name,
        pid=leader.pid,
        alive=alive,
        seconds=_age(leader.pid, leader.created),
        address=address,
        health=_health(client, address) if alive else "ended",
    )


def _addresses(instance: Instance, port: int) -> dict[str, str]:
    """Of the parts that listen, as the gateway's configuration has them."""
    found = {"gateway": f"http://{HOST}:{port}"}
    try:
        config = yaml.safe_load((instance.folder / GATEWAY_CONFIG).read_text())
        for name, pool in config["pools"].items():
            found[name] = str(pool["endpoints"][0])
    except (OSError, yaml.YAMLError, KeyError, TypeError, IndexError):
        pass
    return found


def _health(client: httpx.Client, address: str) -> str:
    if not address:
        return "running"
    try:
        status = client.get(f"{address}/health").status_code
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    return "ok" if status == 200 else f"HTTP {status}"


def _gateways_word(client: httpx.Client, port: int, instance: Instance) -> str:
    """Why the gateway is not ready; "" where it is."""
    try:
        token = (instance.folder / ADMIN_TOKEN).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.get(f"http://{HOST}:{port}/ready", headers=headers)
        if answer.status_code == 200:
            return ""
        return f"not ready: {answer.json().get('status', f'HTTP {answer.status_code}')}"
    except (OSError, httpx.HTTPError, ValueError, AttributeError):
        return "starting, or the gateway does not answer"


def _age(pid: int, created: float | None) -> float:
    """Seconds since the process began; 0.0 where it has ended, or is another one by now."""
    try:
        began = float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0
    if created is not None and abs(began - created) > 1.0:
        return 0.0
    return max(time.time() - began, 0.001)
