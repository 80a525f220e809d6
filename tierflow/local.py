"""The instance of this machine that commands talk to where they are told of no other one.

The variables are those of `tierflow up`, with its defaults: TIERFLOW_PORT, TIERFLOW_STATE.
"""

from __future__ import annotations

import os
from pathlib import Path

from deploy.local.instance_secrets import ADMIN_TOKEN, DEVICE_TOKEN
from deploy.local.settings import CHECKOUT, HOST, instance_folder
from deploy.local.variables import SHIPPED_FAMILY, VARIABLES, port

DEVICE_PORT = "TIERFLOW_DEVICE_PORT"


def variable(name: str) -> str:
    """Its value, or its default where it is empty or not there."""
    default = next(each.default for each in VARIABLES if each.name == name)
    return os.environ.get(name, "").strip() or default


def gateway_port() -> int:
    """Raises SettingError."""
    return port({"TIERFLOW_PORT": variable("TIERFLOW_PORT")}, "TIERFLOW_PORT")


def device_port() -> int:
    """Where the device agent of this machine listens. Raises SettingError."""
    return port({DEVICE_PORT: variable(DEVICE_PORT)}, DEVICE_PORT)


def gateway_url() -> str:
    """Raises SettingError."""
    return f"http://{HOST}:{gateway_port()}"


def agent_url() -> str:
    """Raises SettingError."""
    return f"http://{HOST}:{device_port()}"


def folder() -> Path:
    """The instance's folder, whether there is one or not. Raises SettingError."""
    return instance_folder(gateway_port())


def admin_token_file() -> Path | None:
    """The operator's token of the instance; None where it has none."""
    file = folder() / ADMIN_TOKEN
    return file if file.is_file() else None


def device_token_file() -> Path | None:
    """The token of the device that the user starts; None where the instance has none."""
    file = folder() / DEVICE_TOKEN
    return file if file.is_file() else None


def device_model() -> Path:
    """The folder of the model that the device runs: the shipped one, unless a variable names
    another."""
    chosen = os.environ.get("TIERFLOW_DEVICE_MODEL", "").strip()
    return Path(os.path.expanduser(chosen)) if chosen else CHECKOUT / SHIPPED_FAMILY / "rill-device"
