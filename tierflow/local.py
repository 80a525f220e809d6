"""What commands talk to where they are given no address.

TIERFLOW_URL names it, else the variables of `tierflow up` do, with its defaults: the instance of
this machine that TIERFLOW_PORT and TIERFLOW_STATE name.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.instance_secrets import ADMIN_TOKEN, DEVICE_TOKEN
from deploy.local.settings import HOST, instance_folder, model
from deploy.local.variables import SHIPPED_FAMILY, VARIABLES, SettingError, port
from gateway.protocol.configuration.urls import url_problem

URL = "TIERFLOW_URL"
DEVICE_PORT = "TIERFLOW_DEVICE_PORT"


def variable(name: str) -> str:
    """Its value, or its default where it is empty or not there."""
    return _given(name) or _default(name)


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


def _default(name: str) -> str:
    return next(each.default for each in VARIABLES if each.name == name)


def gateway_port() -> int:
    """Raises SettingError."""
    return port({"TIERFLOW_PORT": variable("TIERFLOW_PORT")}, "TIERFLOW_PORT")


def device_port() -> int:
    """Where the device agent of this machine listens. Raises SettingError."""
    return port({DEVICE_PORT: variable(DEVICE_PORT)}, DEVICE_PORT)


def instance_url() -> str:
    """Of the gateway of this machine's instance. Raises SettingError."""
    return f"http://{HOST}:{gateway_port()}"


def is_of_instance(url: str) -> bool:
    """Whether the address is that of this machine's instance. Raises SettingError."""
    if url_problem(url):
        return False
    parts = urlsplit(url)
    own = (parts.hostname in (HOST, "localhost"), parts.port == gateway_port())
    return parts.scheme == "http" and all(own)


def named_url() -> str:
    """The address that TIERFLOW_URL holds, of a gateway or a device agent; empty where it holds
    none. Raises SettingError."""
    url = _given(URL).rstrip("/")
    if url and (problem := url_problem(url)):
        raise SettingError(f"{URL}: {problem}")
    return url


def gateway_url() -> str:
    """The gateway that commands ask. Raises SettingError."""
    return named_url() or instance_url()


def agent_url() -> str:
    """The device agent that belongs to the instance that was named; empty where none does: an agent
    on the usual port beside an instance on another one works for somebody else. Raises
    SettingError."""
    port = device_port()
    usual = gateway_port() == int(_default("TIERFLOW_PORT"))
    return f"http://{HOST}:{port}" if usual or _given(DEVICE_PORT) else ""


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
    """The folder of the model that the device runs, or its id on the model hub: the shipped one,
    unless a variable names another, which means the same as to `tierflow up`. Raises
    SettingError."""
    name = "TIERFLOW_DEVICE_MODEL"
    return Path(model(name, _given(name) or f"{SHIPPED_FAMILY}/rill-device").source)
