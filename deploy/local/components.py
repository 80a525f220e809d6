"""The parts of an instance: what is run for each pool and for the gateway, with which settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from deploy.local.secrets import Secrets, device_token_file, digest
from deploy.local.settings import CHECKOUT, SHIPPED_FAMILY, Device, Model, Settings
from deploy.local.state import Instance

SELF_CHECK = {
    "template": (
        "{question}\nYour answer was: {answer}\nAnother answer is: {answer}\n"
        "Give your final answer."
    ),
    "expects": "same",
    "max_tokens": 96,
}
"""The family follows only prompts that it was trained on: this is its prompt for revising."""

BEHIND_THE_OTHERS = ("nice", "-n", "10")
"""vLLM's processes look for work without pause for a second after each request. On few cores they
would keep gateway and device from theirs, which is little and cannot wait: drafts come too late."""

MEMBER_WORK = 4
"""At once, for a device that has no user of its own."""


@dataclass(frozen=True)
class Component:
    """One process to start, and how to see that it works."""

    name: str
    command: list[str]
    environment: dict[str, str]
    port: int
    model: str | None
    """The model it serves; None for the gateway and for devices."""
    device: str | None = None
    """The name under which a device registers; it has no port."""

    @property
    def vital(self) -> bool:
        """Whether nothing works without it: devices come and go."""
        return self.device is None

    @property
    def health_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health"


def components(
    settings: Settings,
    instance: Instance,
    secrets: Secrets,
    gateway_python: str,
    engine_python: str,
    temporary: str,
    cores: set[int],
    environ: Mapping[str, str] = os.environ,
) -> list[Component]:
    """The engines, smallest first, the gateway, the devices. `cores` are the machine's cores."""
    environment = {name: value for name, value in environ.items() if name != "VIRTUAL_ENV"}
    path = [str(CHECKOUT), *filter(None, [environ.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}
    edge_cores, cloud_cores = share_cores(cores)
    engines = [
        ("edge", settings.edge_model, settings.edge_port, settings.edge_draft_port, edge_cores),
        (
            "cloud",
            settings.cloud_model,
            settings.cloud_port,
            settings.cloud_draft_port,
            cloud_cores,
        ),
    ]
    for_engines = {"TMPDIR": temporary}
    if settings.drafts:
        for_engines["TIERFLOW_DRAFT_SECRET"] = secrets.mailbox
    parts = [
        Component(
            name,
            engine_command(settings, model, port, drafts, pinned, gateway_python, engine_python),
            environment | for_engines,
            port,
            model.name,
        )
        for name, model, port, drafts, pinned in engines
    ]
    config = instance.folder / "gateway.yaml"
    command = [gateway_python, "-m", "gateway", "--config", str(config)]
    admin = {"TIERFLOW_GATEWAY_ADMIN__TOKEN": digest(secrets.admin_token)}
    devices = [
        Component(
            device.name,
            device_command(settings, device, instance, gateway_python),
            environment,
            settings.port,
            None,
            device.name,
        )
        for device in settings.devices
    ]
    return [
        *parts,
        Component("gateway", command, environment | admin, settings.port, None),
        *devices,
    ]


def device_command(
    settings: Settings, device: Device, instance: Instance, gateway_python: str
) -> list[str]:
    return [
        *BEHIND_THE_OTHERS,
        *(gateway_python, "-m", "services.device_agent", "--no-api"),
        *("--gateway", settings.url),
        *("--model", str(device.folder)),
        *("--token-file", str(device_token_file(instance.folder, device.name))),
        *("--max-work", str(MEMBER_WORK)),
    ]


def engine_command(
    settings: Settings,
    model: Model,
    port: int,
    draft_port: int,
    cores: str,
    gateway_python: str,
    engine_python: str,
) -> list[str]:
    address = ["--host", "127.0.0.1", "--port", str(port)]
    if settings.engine == "simulator":
        command = [gateway_python, "-m", "services.engine_simulator", "--model", model.name]
        return [*command, *address, *settings.engine_args]
    return [
        *BEHIND_THE_OTHERS,
        *(engine_python, "-m", "services.vllm_server"),
        *("--model", model.source, "--served-model-name", model.name),
        *address,
        *("--dtype", settings.dtype),
        *("--max-model-len", str(settings.max_model_len or "auto")),
        *("--kv-cache-gib", str(settings.kv_cache_gib)),
        *("--cores", cores),
        *(("--draft-mailbox", f"127.0.0.1:{draft_port}") if settings.drafts else ()),
        "--",
        *settings.engine_args,
    ]


def share_cores(cores: set[int]) -> tuple[str, str]:
    """Cores of the edge's and the cloud's engine, as comma-separated lists.

    The larger model gets two thirds. From four cores on, one stays free for the gateway. On a
    single core, both engines share it.
    """
    free = sorted(cores)
    if len(free) >= 4:
        free = free[:-1]
    if len(free) == 1:
        return str(free[0]), str(free[0])
    edge = max(1, len(free) // 3)
    return ",".join(map(str, free[:edge])), ",".join(map(str, free[edge:]))


def cascade_config(settings: Settings) -> dict[str, object]:
    """How the shipped family is asked about its answers. What judges them the gateway knows."""
    shipped = {str(CHECKOUT / SHIPPED_FAMILY / name) for name in ("rill-edge", "rill-cloud")}
    if {settings.edge_model.source, settings.cloud_model.source} != shipped:
        return {}
    return {"cascade": {"self_check": SELF_CHECK}}


def gateway_config(settings: Settings, secrets: Secrets) -> str:
    """The gateway's configuration file, YAML. It holds a secret."""
    pools: dict[str, dict[str, object]] = {
        name: {"tier": name, "endpoints": [f"http://127.0.0.1:{port}"]}
        for name, port in (("edge", settings.edge_port), ("cloud", settings.cloud_port))
    }
    if settings.drafts:
        for name, port in (
            ("edge", settings.edge_draft_port),
            ("cloud", settings.cloud_draft_port),
        ):
            pools[name]["mailboxes"] = [f"127.0.0.1:{port}"]
            pools[name]["mailbox_secret"] = secrets.mailbox
    return yaml.safe_dump(
        {
            "listen": {"host": "127.0.0.1", "port": settings.port},
            "family": [model.name for model in settings.family],
            "pools": pools,
            "devices": {"tokens": secrets.token_hashes},
            **cascade_config(settings),
        },
        sort_keys=False,
    )
