"""The settings of `make up`, read from the environment here and nowhere else.

`python3 -m deploy.local.settings` lists their variables; it needs nothing but Python's library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.variables import (
    DTYPES,
    ENGINES,
    SHIPPED_FAMILY,
    SPECIALISTS,
    SWITCH,
    VARIABLES,
    SettingError,
    arguments,
    choice,
    describe,
    port,
    positive,
    whole,
)

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
SPECIALIST = "rill-device-"
"""Begins the name of each specialist's folder beside the shipped family."""
OWN_MODELS = (
    "no devices are started: the specialists belong to the shipped family; "
    "to start your own, name their folders in TIERFLOW_DEVICES"
)
LONGEST_LEN = 100_000_000
OF_THE_RUNNER = {
    "listen.port": "TIERFLOW_PORT",
    "pools.edge.endpoints": "TIERFLOW_EDGE_PORT",
    "pools.edge.models": "TIERFLOW_EDGE_MODEL",
    "pools.edge.mailboxes": "TIERFLOW_EDGE_DRAFT_PORT",
    "pools.cloud.endpoints": "TIERFLOW_CLOUD_PORT",
    "pools.cloud.models": "TIERFLOW_CLOUD_MODEL",
    "pools.cloud.mailboxes": "TIERFLOW_CLOUD_DRAFT_PORT",
}
"""The gateway's settings that have to be as the runner starts the parts, and its variable for
each. One of the gateway's would go over what the runner writes."""


@dataclass(frozen=True)
class Model:
    """A member of the family: where it comes from, and the name under which it is served."""

    source: str
    """A folder's absolute path, or an id on the model hub."""
    fetched: Path | None = None
    """The folder of what has been fetched from the hub."""

    @property
    def name(self) -> str:
        return self.source.rstrip("/").rsplit("/", 1)[-1]

    @property
    def folder(self) -> Path | None:
        """The model's folder; None for a model on the hub that has not been fetched."""
        path = Path(self.source)
        return path if path.is_absolute() else self.fetched


@dataclass(frozen=True)
class Device:
    """A device that `make up` starts: its name at the gateway, and its model's folder."""

    name: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The engine of one tier: its model, its port, and the port on which it takes drafts."""

    tier: str
    model: Model
    port: int
    draft_port: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one instance. Ports are TCP ports on 127.0.0.1."""

    port: int
    edge_port: int
    cloud_port: int
    edge_model: Model
    cloud_model: Model
    device_model: Model | None
    devices: tuple[Device, ...]
    devices_note: str
    """Why no devices are started though none were turned off; empty where that needs no saying."""
    dtype: str
    kv_cache_gib: float
    max_model_len: int | None
    """Tokens; None: as many as the model and the KV cache hold."""
    engine: str
    speculation: bool
    edge_draft_port: int
    cloud_draft_port: int
    engine_args: tuple[str, ...]
    engine_python: str
    """Empty: the one of the engine environment, which is made when needed."""
    start_timeout: float
    """Seconds until every pool must have generated a token."""
    state: Path
    """Folder of this instance: logs, the gateway's configuration, what is running."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """Edge and cloud."""
        return (
            Engine(
                tier="edge",
                model=self.edge_model,
                port=self.edge_port,
                draft_port=self.edge_draft_port,
            ),
            Engine(
                tier="cloud",
                model=self.cloud_model,
                port=self.cloud_port,
                draft_port=self.cloud_draft_port,
            ),
        )

    @property
    def drafts(self) -> bool:
        """Whether engines take drafts; the simulator does not."""
        return self.speculation and self.engine == "vllm"

    @property
    def ports(self) -> dict[str, int]:
        """Every port on which a part listens, by its variable."""
        ports = {
            "TIERFLOW_PORT": self.port,
            "TIERFLOW_EDGE_PORT": self.edge_port,
            "TIERFLOW_CLOUD_PORT": self.cloud_port,
        }
        if self.drafts:
            ports["TIERFLOW_EDGE_DRAFT_PORT"] = self.edge_draft_port
            ports["TIERFLOW_CLOUD_DRAFT_PORT"] = self.cloud_draft_port
        return ports

    @property
    def family(self) -> tuple[Model, ...]:
        """Smallest to largest."""
        members = (self.edge_model, self.cloud_model)
        return (self.device_model, *members) if self.device_model else members


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from environment variables; empty ones count as absent. Raises SettingError."""
    check_gateway_variables(environ)
    return own_settings(environ)


def own_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Those of the runner's own variables, whatever the gateway's are. Raises SettingError."""
    values = {v.name: environ.get(v.name, "").strip() or v.default for v in VARIABLES}
    own_models = any(
        environ.get(name, "").strip() for name in ("TIERFLOW_EDGE_MODEL", "TIERFLOW_CLOUD_MODEL")
    )
    gateway_port = port(values, "TIERFLOW_PORT")
    settings = Settings(
        port=gateway_port,
        edge_port=port(values, "TIERFLOW_EDGE_PORT"),
        cloud_port=port(values, "TIERFLOW_CLOUD_PORT"),
        edge_model=model("TIERFLOW_EDGE_MODEL", values["TIERFLOW_EDGE_MODEL"]),
        cloud_model=model("TIERFLOW_CLOUD_MODEL", values["TIERFLOW_CLOUD_MODEL"]),
        device_model=_device_model(environ, own_models),
        devices=_devices(environ, own_models),
        devices_note=OWN_MODELS if own_models and "TIERFLOW_DEVICES" not in environ else "",
        dtype=choice(values, "TIERFLOW_DTYPE", DTYPES),
        kv_cache_gib=positive(values, "TIERFLOW_KV_CACHE_GIB"),
        max_model_len=_max_model_len(values),
        engine=choice(values, "TIERFLOW_ENGINE", ENGINES),
        speculation=choice(values, "TIERFLOW_SPECULATION", SWITCH) == "on",
        edge_draft_port=port(values, "TIERFLOW_EDGE_DRAFT_PORT"),
        cloud_draft_port=port(values, "TIERFLOW_CLOUD_DRAFT_PORT"),
        engine_args=arguments(values, "TIERFLOW_ENGINE_ARGS"),
        engine_python=_program(values["TIERFLOW_ENGINE_PYTHON"]),
        start_timeout=positive(values, "TIERFLOW_START_TIMEOUT"),
        state=instance_folder(gateway_port, environ),
    )
    _check_distinct(settings, _device_port(values, environ))
    return settings


def check_gateway_variables(environ: Mapping[str, str]) -> None:
    """Raises SettingError that names the variables of ours that no part reads, and the gateway's
    settings that can't work: the gateway would end of them when its engines have started."""
    # Its packages are not there where the variables are only listed.
    from gateway.errors import ConfigError
    from gateway.settings import Settings as GatewaySettings
    from gateway.settings.checks.environment import check_environment, environment_settings

    try:
        check_environment(environ, GatewaySettings)
        given = environment_settings(environ, GatewaySettings)
    except ConfigError as error:
        raise SettingError(error.message) from error
    for path, own in OF_THE_RUNNER.items():
        if variable := given.variable(path.split(".")):
            raise SettingError(
                f"{variable}: sets {path}, which `tierflow up` chooses by {own}: set that instead"
            )


def _device_port(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, int]:
    """Of `tierflow device`, by its variable where that is set: the default may be another part's
    where there is no such device."""
    name = "TIERFLOW_DEVICE_PORT"
    number = port(values, name)
    return {name: number} if environ.get(name, "").strip() else {}


def _device_model(environ: Mapping[str, str], own_models: bool) -> Model | None:
    """The family's smallest member; the shipped one has no place in a family of own models."""
    text = environ.get("TIERFLOW_DEVICE_MODEL", "").strip()
    if not text and own_models:
        return None
    return model("TIERFLOW_DEVICE_MODEL", text or f"{SHIPPED_FAMILY}/rill-device")


def _max_model_len(values: Mapping[str, str]) -> int | None:
    name = "TIERFLOW_MAX_MODEL_LEN"
    if values[name] == "auto":
        return None
    return whole(values, name, "auto or a number of tokens", low=1, high=LONGEST_LEN)


def _program(text: str) -> str:
    """As the text means it where the command is called: it is started from the checkout."""
    return str(_at_caller(text)) if "/" in text else text


def _devices(environ: Mapping[str, str], own_models: bool) -> tuple[Device, ...]:
    """The devices to start; an empty variable turns them off. Raises SettingError."""
    text = environ.get("TIERFLOW_DEVICES")
    if text is None:
        off = own_models or environ.get("TIERFLOW_ENGINE", "").strip() == "simulator"
        text = "" if off else SPECIALISTS
    devices = [_device(word, text) for word in text.split()]
    names = [device.name for device in devices]
    for name in names:
        if names.count(name) > 1 or name == "local":
            raise SettingError(f"TIERFLOW_DEVICES={text}: the name {name} is taken; change one")
    return tuple(devices)


def _device(word: str, text: str) -> Device:
    shipped = CHECKOUT / SHIPPED_FAMILY / f"{SPECIALIST}{word}"
    folder = (local_folder(word) or _at_caller(word)) if "/" in word else shipped
    name = folder.name.removeprefix(SPECIALIST)
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise SettingError(
            f"TIERFLOW_DEVICES={text}: {word} is not a specialist's name or a folder; a name has "
            "letters, digits, '.', '_' and '-'"
        )
    return Device(name, folder)


def _at_caller(text: str) -> Path:
    """The absolute path that the text means where the command is called."""
    return Path(os.path.abspath(os.path.expanduser(text)))


def local_folder(text: str) -> Path | None:
    """The folder that the text is or is written like; None: neither.

    It may be one of the checkout, which then comes first, or of where the command is called.
    """
    path = Path(os.path.expanduser(text))
    if path.is_absolute() or text.startswith("."):
        return _at_caller(text)
    if text.startswith(f"{SHIPPED_FAMILY}/") or (CHECKOUT / path).is_dir():
        return CHECKOUT / path
    return _at_caller(text) if path.is_dir() else None


def model(variable: str, text: str) -> Model:
    """A folder if it is one or is written like one, else an id on the model hub (`owner/name`).
    Raises SettingError."""
    if folder := local_folder(text):
        return Model(str(folder))
    if text.count("/") != 1 or not all(text.split("/")):
        raise SettingError(
            f"{variable}={text}: there is no such folder, and it is not a hub id (owner/name)"
        )
    return Model(text)


def instance_folder(gateway_port: int, environ: Mapping[str, str] = os.environ) -> Path:
    """Of the instance whose gateway has this port."""
    names = ("TIERFLOW_STATE", "XDG_STATE_HOME")
    given = (environ.get(name, "").strip() for name in names)
    chosen = next(filter(None, given), "~/.local/state")
    return Path(os.path.expanduser(chosen)).absolute() / "tierflow" / str(gateway_port)


def _check_distinct(settings: Settings, device_port: dict[str, int]) -> None:
    models = {
        "TIERFLOW_DEVICE_MODEL": settings.device_model.name if settings.device_model else "",
        "TIERFLOW_EDGE_MODEL": settings.edge_model.name,
        "TIERFLOW_CLOUD_MODEL": settings.cloud_model.name,
    }
    for what, values in (("port", settings.ports | device_port), ("name", models)):
        seen: dict[object, str] = {}
        for variable, value in values.items():
            if value in seen:
                raise SettingError(
                    f"{variable} and {seen[value]} have the same {what}, {value}: change one"
                )
            seen[value] = variable


if __name__ == "__main__":
    print(describe())
