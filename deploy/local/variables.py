"""The environment variables of `make up`: their names, defaults and meanings, and their values.

Needs nothing but Python's library.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

SHIPPED_FAMILY = "services/model_family/weights"
DTYPES = ("auto", "float32", "bfloat16", "float16")
ENGINES = ("vllm", "simulator")
SWITCH = ("on", "off")
SPECIALISTS = "mathematics code reading"


class SettingError(Exception):
    """A value of an environment variable that can't be used; names it and says what can."""


@dataclass(frozen=True)
class Variable:
    """An environment variable: its name, default, and what it means."""

    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("TIERFLOW_PORT", "8080", "port of the gateway"),
    Variable("TIERFLOW_DEVICE_PORT", "8090", "port of the device agent of `tierflow device`"),
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
    Variable(
        "TIERFLOW_STATE",
        "~/.local/state",
        "holds logs and what is running, in tierflow/; default: XDG_STATE_HOME where that is set",
    ),
    Variable(
        "TIERFLOW_CACHE",
        "~/.cache/tierflow",
        "holds the Python environments; default: tierflow/ in XDG_CACHE_HOME where that is set",
    ),
)
BASES: Mapping[str, tuple[str, str]] = {
    "TIERFLOW_STATE": ("XDG_STATE_HOME", "~/.local/state"),
    "TIERFLOW_CACHE": ("XDG_CACHE_HOME", "~/.cache"),
}
"""The variables of all programs that name the folders in which these defaults lie, and what stands
in for them."""


def whole(values: Mapping[str, str], name: str, expected: str, *, low: int, high: int) -> int:
    """A whole number from `low` to `high`. Raises SettingError."""
    text = values[name]
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise SettingError(f"{name}={text}: must be {expected}")
    return int(text)


def port(values: Mapping[str, str], name: str) -> int:
    """A TCP port. Raises SettingError."""
    return whole(values, name, "a port, 1 to 65535", low=1, high=65535)


def positive(values: Mapping[str, str], name: str) -> float:
    """A finite number above 0. Raises SettingError."""
    try:
        number = float(values[name])
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1e9:
        raise SettingError(f"{name}={values[name]}: must be a number above 0")
    return number


def choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """One of the choices. Raises SettingError."""
    if values[name] not in choices:
        raise SettingError(f"{name}={values[name]}: must be one of {', '.join(choices)}")
    return values[name]


def arguments(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Words as a shell would cut them. Raises SettingError."""
    try:
        return tuple(shlex.split(values[name]))
    except ValueError as error:
        raise SettingError(f"{name}={values[name]}: {error}") from error


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
