"""What must hold before anything is started: models, one tokenizer, memory, free ports.

Every check raises PreflightFailure with one line that names what to change.
"""

from __future__ import annotations

import dataclasses
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

from deploy.local.fingerprint import TokenizerMissing, folder_fingerprint
from deploy.local.installation.system_packages import (
    LIBRARIES,
    SHARED_MEMORY,
    missing_libraries,
    missing_sentence,
    shared_memory_problem,
)
from deploy.local.settings import HOST, Model, Settings
from deploy.local.variables import SPECIALISTS
from gateway.protocol.model_hub import HubFailed, fetch_model, fetch_words
from gateway.protocol.nearest import nearest
from services.device_agent.chat_template import TemplateUnusable, read_template

ENGINE_BASE_GIB = 1.5
"""Memory of a vLLM server beside weights and KV cache: three processes with torch."""

LOOK_S = 30.0
"""The wait for a Python that says whether it has vLLM."""
SIMULATOR_GIB = 0.1
DEVICE_GIB = 0.2
"""Memory of a device agent with a specialist of the shipped family."""


class PreflightFailure(Exception):
    """A condition of the start that does not hold; one line for the user."""


def check(settings: Settings) -> Settings:
    """All checks, cheapest first. Gives the settings with models from the hub at hand."""
    check_ports(settings)
    if settings.engine == "vllm":
        check_engine_python(settings)
        if not settings.engine_python:
            check_libraries(LIBRARIES)
        check_shared_memory(len(settings.engines))
        check_models(settings)
    check_devices(settings)
    if settings.engine == "vllm":
        settings = fetched(settings)
        check_one_tokenizer(settings.family)
    check_memory(settings, available_gib())
    return settings


def check_ports(settings: Settings) -> None:
    for variable, port in settings.ports.items():
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        except OSError as error:
            if isinstance(error, PermissionError):
                reason = f"port {port} needs more rights"
            else:
                reason = f"port {port} is in use{_holder(port)}"
            raise PreflightFailure(f"{reason}: choose another with {variable}") from error


def _holder(port: int) -> str:
    """` by NAME (process N)` for the listener on a port, or nothing where that can't be seen."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listening = connection.status == psutil.CONN_LISTEN
            if listening and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""


def check_libraries(libraries: Mapping[str, str]) -> None:
    """`libraries` maps each shared library to the Debian package that has it."""
    if missing := missing_libraries(libraries):
        raise PreflightFailure(missing_sentence(missing))


def check_shared_memory(engines: int, folder: str = SHARED_MEMORY) -> None:
    if problem := shared_memory_problem(engines, folder):
        raise PreflightFailure(problem)


def check_engine_python(settings: Settings) -> None:
    """The Python that the user names has vLLM."""
    variable, python = "TIERFLOW_ENGINE_PYTHON", settings.engine_python
    if not python:
        return
    if shutil.which(python) is None:
        raise PreflightFailure(f"{variable}: there is no program {python}")
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    try:
        code = subprocess.run(
            [python, "-c", look], capture_output=True, timeout=LOOK_S, cwd="/"
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        raise PreflightFailure(f"{variable}: {python} is no Python that runs") from None
    if code:
        raise PreflightFailure(
            f"{variable}: {python} has no vLLM, or is no Python; leave the variable out to have "
            "one made"
        )


def check_models(settings: Settings) -> None:
    for variable, model in (
        ("TIERFLOW_DEVICE_MODEL", settings.device_model),
        ("TIERFLOW_EDGE_MODEL", settings.edge_model),
        ("TIERFLOW_CLOUD_MODEL", settings.cloud_model),
    ):
        if model is None or model.folder is None:
            continue
        if not model.folder.is_dir():
            raise PreflightFailure(f"{variable}: there is no folder {model.folder}")
        if not (model.folder / "config.json").is_file():
            raise PreflightFailure(
                f"{variable}: {model.folder} has no config.json, so it is not a model"
            )


def check_devices(settings: Settings) -> None:
    for device in settings.devices:
        folder = device.folder
        for file in ("config.json", "tokenizer.json", "*.onnx"):
            if not any(folder.glob(file)):
                shipped = SPECIALISTS.split()
                if not folder.is_dir() and (near := nearest(device.name, shipped)):
                    raise PreflightFailure(
                        f"TIERFLOW_DEVICES: there is no specialist {device.name}; did you mean "
                        f"{near}? There are {', '.join(shipped)}"
                    )
                raise PreflightFailure(
                    f"TIERFLOW_DEVICES: {folder} has no {file}, so the device {device.name} can't "
                    "start; leave it out, or set TIERFLOW_DEVICES to nothing"
                )
        if not _has_template(folder):
            raise PreflightFailure(
                f"TIERFLOW_DEVICES: {folder} has no chat template, so the device {device.name} "
                "could do no work; leave it out"
            )


def _has_template(folder: Path) -> bool:
    """Whether a model is one for chat. One that can't be read is left to who reads it."""
    try:
        return read_template(folder) is not None
    except TemplateUnusable:
        return True


def check_one_tokenizer(family: Iterable[Model]) -> None:
    """Refuse a family whose members give different token ids to the same text."""
    first: tuple[str, str] | None = None
    for model in family:
        try:
            assert model.folder is not None
            fingerprint = folder_fingerprint(model.folder)
        except TokenizerMissing as missing:
            raise PreflightFailure(f"the tokenizer of {model.name}: {missing}") from missing
        if first is None:
            first = (model.name, fingerprint)
        elif fingerprint != first[1]:
            raise PreflightFailure(
                f"{first[0]} and {model.name} have different tokenizers "
                f"({first[1][:16]} and {fingerprint[:16]}): a family must share one"
            )


def fetched(settings: Settings) -> Settings:
    """The same, with the models that are on the hub in its cache: the engines' whole, of the
    device's the tokenizer. What is there already is not fetched again."""
    return dataclasses.replace(
        settings,
        device_model=_fetched("TIERFLOW_DEVICE_MODEL", settings.device_model, fetch_words),
        edge_model=_fetched("TIERFLOW_EDGE_MODEL", settings.edge_model, fetch_model),
        cloud_model=_fetched("TIERFLOW_CLOUD_MODEL", settings.cloud_model, fetch_model),
    )


Fetched = TypeVar("Fetched", Model, Model | None)


def _fetched(variable: str, model: Fetched, fetch: Callable[[str], Path]) -> Fetched:
    if model is None or model.folder is not None:
        return model
    print(f"looking for {model.source} on the model hub", flush=True)
    try:
        return dataclasses.replace(model, fetched=fetch(model.source))
    except HubFailed as failure:
        raise PreflightFailure(f"{variable}={failure}") from failure


def check_memory(settings: Settings, available: float) -> None:
    """`available` is in GiB."""
    needed = sum(_engine_gib(settings, engine.model) for engine in settings.engines)
    needed += DEVICE_GIB * len(settings.devices)
    if needed > available:
        fewer = "" if not settings.devices else ", fewer devices with TIERFLOW_DEVICES"
        raise PreflightFailure(
            f"too little memory: about {needed:.1f} GiB needed, {available:.1f} GiB available; "
            f"set TIERFLOW_KV_CACHE_GIB lower{fewer}, or choose smaller models"
        )


def _engine_gib(settings: Settings, model: Model) -> float:
    if settings.engine == "simulator":
        return SIMULATOR_GIB
    return ENGINE_BASE_GIB + settings.kv_cache_gib + _weights_gib(model)


def _weights_gib(model: Model) -> float:
    """Size of the weight files, GiB."""
    assert model.folder is not None
    files = [*model.folder.glob("*.safetensors")] or [*model.folder.glob("*.bin")]
    return sum(file.stat().st_size for file in files) / 2**30


def available_gib() -> float:
    """Memory that is available without swapping, within the control group's limit, GiB."""
    available = float(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = (group / "memory.current").read_text().strip()
        if limit != "max":
            available = min(available, float(limit) - float(used))
    except (OSError, ValueError):
        pass
    return available / 2**30
