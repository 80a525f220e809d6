"""The settings of `make up`, read from the environment here and nowhere else.

`python3 -m deploy.local.settings` lists them; needs nothing but Python's library.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SHIPPED_FAMILY = "services/model_family/weights"
DTYPES = ("auto", "float32", "bfloat16", "float16")
ENGINES = ("vllm", "simulator")
SWITCH = ("on", "off")
SPECIALISTS = "mathematics code reading"
SPECIALIST = "rill-device-"
"""Begins the name of each specialist's folder beside the shipped family."""


class SettingError(Exception):
    """An environment variable has a value that can't be used; names it and says what can."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: its name, default, and what it means."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("TIERFLOW_PORT", "8080", "port of the gateway"),
    Variable("TIERFLOW_EDGE_PORT", "8101", "port of the edge pool's engine"),
    Variable("TIERFLOW_CLOUD_PORT", "8102", "port of the cloud pool's engine"),
    Variable(
        "TIERFLOW_EDGE_MODEL",
        f"{SHIPPED_FAMILY}/rill-edge",
        "the edge's model, a folder or a hub id; served under its last path part",
    ),
    Variable("TIERFLOW_CLOUD_MODEL", f"{SHIPPED_FAMILY}/rill-cloud", "the cloud's model, likewise"),
    Variable(
        "TIERFLOW_DEVICE_MODEL",
        f"{SHIPPED_FAMILY}/rill-device, or none with models of your own",
        "the family's smallest member; not served here, its tokenizer must fit",
    ),
    Variable(
        "TIERFLOW_DEVICES",
        f"{SPECIALISTS}; none with models of your own or the simulator",
        "devices that are started as members: shipped specialists, or folders; set empty: none",
    ),
    Variable("TIERFLOW_DTYPE", "auto", f"one of {', '.join(DTYPES)}; auto: as in the checkpoint"),
    Variable("TIERFLOW_KV_CACHE_GIB", "1", "KV cache of each engine, GiB"),
    Variable("TIERFLOW_MAX_MODEL_LEN", "auto", "longest context in tokens; auto: what fits"),
    Variable("TIERFLOW_ENGINE", "vllm", "vllm, or simulator (no model is run, no torch needed)"),
    Variable("TIERFLOW_SPECULATION", "on", "on or off: whether the engines verify devices' drafts"),
    Variable("TIERFLOW_EDGE_DRAFT_PORT", "8111", "port on which the edge's engine takes drafts"),
    Variable("TIERFLOW_CLOUD_DRAFT_PORT", "8112", "the same for the cloud's"),
    Variable("TIERFLOW_ENGINE_ARGS", "", "further arguments for both engines"),
    Variable("TIERFLOW_ENGINE_PYTHON", "", "Python that has vLLM; empty: it is installed"),
    Variable("TIERFLOW_START_TIMEOUT", "600", "seconds an engine may take to start"),
    Variable("TIERFLOW_STATE", "~/.local/state", "holds logs and what is running, in tierflow/"),
    Variable("TIERFLOW_CACHE", "~/.cache/tierflow", "holds the Python environments"),
)


@dataclass(frozen=True)
class Model:
    """A family member: where it comes from, and the name it is served under."""

    source: str
    """A folder's absolute path, or an id on the model hub."""

    @property
    def name(self) -> str:
        return self.source.rstrip("/").rsplit("/", 1)[-1]

    @property
    def folder(self) -> Path | None:
        """The model's folder; None for a model on the hub."""
        path = Path(self.source)
        return path if path.is_absolute() else None


@dataclass(frozen=True)
class Device:
    """A device that is started here: its name at the gateway, and its model's folder."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Settings:
    """What `make up` starts. Ports are TCP ports on 127.0.0.1."""

    port: int
    edge_port: int
    cloud_port: int
    edge_model: Model
    cloud_model: Model
    device_model: Model | None
    devices: tuple[Device, ...]
    devices_note: str
    """Why there are none though nobody said so; empty where there is nothing to say."""
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
        return f"http://127.0.0.1:{self.port}"

    @property
    def drafts(self) -> bool:
        """Whether engines take drafts; the simulator does not."""
        return self.speculation and self.engine == "vllm"

    @property
    def ports(self) -> dict[str, int]:
        """Every port that is listened on, by its variable."""
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
    values = {v.name: environ.get(v.name, "").strip() or v.default for v in VARIABLES}
    own_models = environ.get("TIERFLOW_EDGE_MODEL") or environ.get("TIERFLOW_CLOUD_MODEL")
    device = environ.get("TIERFLOW_DEVICE_MODEL", "").strip()
    if not device and not own_models:
        device = f"{SHIPPED_FAMILY}/rill-device"
    port = _port(values, "TIERFLOW_PORT")
    length = values["TIERFLOW_MAX_MODEL_LEN"]
    settings = Settings(
        port=port,
        edge_port=_port(values, "TIERFLOW_EDGE_PORT"),
        cloud_port=_port(values, "TIERFLOW_CLOUD_PORT"),
        edge_model=_model(values, "TIERFLOW_EDGE_MODEL"),
        cloud_model=_model(values, "TIERFLOW_CLOUD_MODEL"),
        device_model=_model({"TIERFLOW_DEVICE_MODEL": device}, "TIERFLOW_DEVICE_MODEL")
        if device
        else None,
        devices=_devices(environ, bool(own_models)),
        devices_note=OWN_MODELS if own_models and "TIERFLOW_DEVICES" not in environ else "",
        dtype=_choice(values, "TIERFLOW_DTYPE", DTYPES),
        kv_cache_gib=_positive(values, "TIERFLOW_KV_CACHE_GIB"),
        max_model_len=None
        if length == "auto"
        else _whole(values, "TIERFLOW_MAX_MODEL_LEN", 1, 100_000_000, "auto or a number of tokens"),
        engine=_choice(values, "TIERFLOW_ENGINE", ENGINES),
        speculation=_choice(values, "TIERFLOW_SPECULATION", SWITCH) == "on",
        edge_draft_port=_port(values, "TIERFLOW_EDGE_DRAFT_PORT"),
        cloud_draft_port=_port(values, "TIERFLOW_CLOUD_DRAFT_PORT"),
        engine_args=_arguments(values, "TIERFLOW_ENGINE_ARGS"),
        engine_python=values["TIERFLOW_ENGINE_PYTHON"],
        start_timeout=_positive(values, "TIERFLOW_START_TIMEOUT"),
        state=_state_root(environ) / "tierflow" / str(port),
    )
    _check_distinct(settings)
    return settings


OWN_MODELS = (
    "no devices are started, as the specialists are of the shipped family; "
    "name folders of yours with TIERFLOW_DEVICES"
)


def _devices(environ: Mapping[str, str], own_models: bool) -> tuple[Device, ...]:
    """Here an empty variable is not absent: it turns them off. Raises SettingError."""
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
    path = Path(os.path.expanduser(word))
    folder = path if "/" in word else CHECKOUT / SHIPPED_FAMILY / f"{SPECIALIST}{word}"
    name = folder.name.removeprefix(SPECIALIST)
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise SettingError(
            f"TIERFLOW_DEVICES={text}: {word} names no specialist and no folder; a name has "
            "letters, digits, '.', '_' and '-'"
        )
    return Device(name, Path(os.path.abspath(CHECKOUT / folder)))


def _whole(values: Mapping[str, str], name: str, low: int, high: int, expected: str) -> int:
    text = values[name]
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise SettingError(f"{name}={text}: must be {expected}")
    return int(text)


def _port(values: Mapping[str, str], name: str) -> int:
    return _whole(values, name, 1, 65535, "a port, 1 to 65535")


def _positive(values: Mapping[str, str], name: str) -> float:
    try:
        number = float(values[name])
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1e9:
        raise SettingError(f"{name}={values[name]}: must be a number above 0")
    return number


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    if values[name] not in choices:
        raise SettingError(f"{name}={values[name]}: must be one of {', '.join(choices)}")
    return values[name]


def _arguments(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(values[name]))
    except ValueError as error:
        raise SettingError(f"{name}={values[name]}: {error}") from error


def _model(values: Mapping[str, str], name: str) -> Model:
    """A folder if it is one or is written like one, else an id on the model hub (`owner/name`)."""
    text = values[name]
    path = Path(os.path.expanduser(text))
    if path.is_absolute() or text.startswith("."):
        return Model(os.path.abspath(path))
    in_checkout = CHECKOUT / path
    if text.startswith(f"{SHIPPED_FAMILY}/"):
        return Model(str(in_checkout))
    if os.path.isdir(in_checkout):
        return Model(str(in_checkout))
    if text.count("/") != 1 or not all(text.split("/")):
        raise SettingError(f"{name}={text}: no such folder, and no hub id (owner/name) either")
    return Model(text)


def _state_root(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("TIERFLOW_STATE") or environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(os.path.expanduser(chosen)).absolute()


def _check_distinct(settings: Settings) -> None:
    models = {
        "TIERFLOW_DEVICE_MODEL": settings.device_model.name if settings.device_model else "",
        "TIERFLOW_EDGE_MODEL": settings.edge_model.name,
        "TIERFLOW_CLOUD_MODEL": settings.cloud_model.name,
    }
    for what, values in (("port", settings.ports), ("name", models)):
        seen: dict[object, str] = {}
        for variable, value in values.items():
            if value in seen:
                raise SettingError(
                    f"{variable} and {seen[value]} have the same {what}, {value}: change one"
                )
            seen[value] = variable


def describe() -> str:
    """The variables with their defaults, for `make help`."""
    width = max(len(variable.name) for variable in VARIABLES)
    lines = ["Variables of `make up`, with their defaults:"]
    for variable in VARIABLES:
        text = f"{variable.meaning} [{variable.default or 'empty'}]"
        wrapped = textwrap.wrap(text, 96 - width, break_on_hyphens=False)
        lines.append(f"  {variable.name:<{width}}  {wrapped[0]}")
        lines.extend(" " * (width + 4) + line for line in wrapped[1:])
    lines.append("In STATE/tierflow/PORT: device.token lets a device in, admin.token an operator.")
    return "\n".join(lines)


if __name__ == "__main__":
    print(describe())
