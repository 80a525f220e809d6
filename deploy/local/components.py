"""The components of an instance: the processes for pools, gateway and devices, with settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from deploy.local.instance import Instance
from deploy.local.instance_secrets import Secrets, device_token_file, digest
from deploy.local.settings import CHECKOUT, HOST, Device, Engine, Settings
from deploy.local.variables import SHIPPED_FAMILY

GATEWAY_CONFIG = "gateway.yaml"
SELF_CHECK = {
    "template": (
        "{question}\nYour answer was: {answer}\nAnother answer is: {answer}\n"
        "Give your final answer."
    ),
    "expects": "same",
    "max_tokens": 96,
}
"""The shipped family follows only prompts that it was trained on: this one is for revising."""

LOW_PRIORITY = ("nice", "-n", "10")
"""vLLM's processes look for work without pause for a second after each request. On few cores they
would take the time of gateway and device, whose work is little and urgent: a draft would come too
late."""

HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
DRAIN_S = 3.0
"""How long running answers may go on at `make down`, which kills after a while."""

MEMBER_WORK = 4
"""Work that a device does at once when it has no user of its own."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A process of an instance: how it is started, and how to see that it works."""

    name: str
    command: list[str]
    environment: dict[str, str]
    port: int
    model: str | None = None
    """The model it serves; None for the gateway and for devices."""
    device: str | None = None
    """The name under which a device registers at the gateway, whose port it has."""

    @property
    def vital(self) -> bool:
        """Whether everything stops with it; devices come and go."""
        return self.device is None

    @property
    def health_url(self) -> str:
        return f"http://{HOST}:{self.port}/health"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The start of an instance: all that its components are made from.

    `temporary` is the folder for the engines' temporary files, `cores` are the machine's cores, and
    `environ` is the environment that all parts get.
    """

    settings: Settings
    instance: Instance
    secrets: Secrets
    gateway_python: str
    engine_python: str
    temporary: str
    cores: set[int]
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def components(self) -> list[Component]:
        """The engines, smallest first, the gateway, the devices."""
        return [*self._engines(), self._gateway(), *self._devices()]

    def _engines(self) -> list[Component]:
        settings = self.settings
        edge_cores, cloud_cores = share_cores(self.cores)
        environment = self._environment | {"TMPDIR": self.temporary}
        if settings.drafts:
            environment["TIERFLOW_DRAFT_SECRET"] = self.secrets.mailbox
        return [
            Component(
                name=engine.tier,
                command=self._engine_command(engine, cores),
                environment=environment,
                port=engine.port,
                model=engine.model.name,
            )
            for engine, cores in zip(settings.engines, (edge_cores, cloud_cores), strict=True)
        ]

    def _engine_command(self, engine: Engine, cores: str) -> list[str]:
        settings = self.settings
        address = ["--host", HOST, "--port", str(engine.port)]
        if settings.engine == "simulator":
            command = [self.gateway_python, "-m", "services.engine_simulator"]
            return [*command, "--model", engine.model.name, *address, *settings.engine_args]
        mailbox = ("--draft-mailbox", f"{HOST}:{engine.draft_port}") if settings.drafts else ()
        return [
            *LOW_PRIORITY,
            *(self.engine_python, "-m", "services.vllm_server"),
            # By its id, though it is in the cache by now: what else vLLM needs may be on the hub.
            *("--model", engine.model.source, "--served-model-name", engine.model.name),
            *address,
            *("--dtype", settings.dtype),
            *("--max-model-len", str(settings.max_model_len or "auto")),
            *("--kv-cache-gib", str(settings.kv_cache_gib)),
            *("--cores", cores),
            *mailbox,
            "--",
            *settings.engine_args,
        ]

    def _gateway(self) -> Component:
        config = self.instance.folder / GATEWAY_CONFIG
        admin = {"TIERFLOW_GATEWAY_ADMIN__TOKEN": digest(self.secrets.admin_token)}
        return Component(
            name="gateway",
            command=[self.gateway_python, "-m", "gateway", "--config", str(config)],
            environment=self._without_hub() | admin,
            port=self.settings.port,
        )

    def _devices(self) -> list[Component]:
        return [
            Component(
                name=device.name,
                command=self._device_command(device),
                environment=self._without_hub(),
                port=self.settings.port,
                device=device.name,
            )
            for device in self.settings.devices
        ]

    def _device_command(self, device: Device) -> list[str]:
        return [
            *LOW_PRIORITY,
            *(self.gateway_python, "-m", "services.device_agent", "--no-api"),
            *("--gateway", self.settings.url),
            *("--model", str(device.folder)),
            *("--token-file", str(device_token_file(self.instance.folder, device.name))),
            *("--max-work", str(MEMBER_WORK)),
        ]

    def _without_hub(self) -> dict[str, str]:
        """What reads nothing from the model hub does not get its token."""
        return {name: text for name, text in self._environment.items() if name not in HUB_TOKENS}

    @property
    def _environment(self) -> dict[str, str]:
        """The environment of every part: it imports this checkout and writes its log at once."""
        environment = {name: text for name, text in self.environ.items() if name != "VIRTUAL_ENV"}
        path = [str(CHECKOUT), *filter(None, [self.environ.get("PYTHONPATH")])]
        return environment | {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def share_cores(cores: set[int]) -> tuple[str, str]:
    """The cores of the edge's and of the cloud's engine, as comma-separated lists.

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
    """The cascade's self-check for the shipped family; the gateway ships its predictors."""
    shipped = {str(CHECKOUT / SHIPPED_FAMILY / name) for name in ("rill-edge", "rill-cloud")}
    if {settings.edge_model.source, settings.cloud_model.source} != shipped:
        return {}
    return {"cascade": {"self_check": SELF_CHECK}}


def gateway_config(settings: Settings, secrets: Secrets) -> str:
    """The gateway's configuration file, YAML. It holds a secret."""
    return yaml.safe_dump(
        {
            "listen": {"host": HOST, "port": settings.port},
            "family": [model.name for model in settings.family],
            "pools": {engine.tier: _pool(settings, engine, secrets) for engine in settings.engines},
            "devices": {"tokens": secrets.token_hashes},
            "lifecycle": {"drain_s": DRAIN_S},
            **cascade_config(settings),
        },
        sort_keys=False,
    )


def _pool(settings: Settings, engine: Engine, secrets: Secrets) -> dict[str, object]:
    pool: dict[str, object] = {
        "tier": engine.tier,
        "endpoints": [f"http://{HOST}:{engine.port}"],
        # So that settings which name another model are refused before the engines are up.
        "models": [engine.model.name],
    }
    if settings.drafts:
        pool["mailboxes"] = [f"{HOST}:{engine.draft_port}"]
        pool["mailbox_secret"] = secrets.mailbox
    return pool
