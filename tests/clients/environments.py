"""The clients' environments: one each, of the exact versions of its lock, in the cache.

One for all does not resolve: each client has its own bounds on what they share.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from deploy.images.locked import locked_packages
from deploy.local.environments import (
    LOCKS,
    EnvironmentFailure,
    cache_root,
    ensure,
    environment_folder,
    is_complete,
)
from tests.clients import javascript
from tests.clients.clients import CLIENTS, ENGINE, GATEWAY, JAVASCRIPT, Client

OWN_LOCKS = Path(__file__).parent / "locks"
PROGRAMS = Path(__file__).parent / "programs"

QUIET = {
    # Nothing outside of this machine is there to be asked: whoever tries fails at once.
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OTEL_SDK_DISABLED": "true",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "VLLM_NO_USAGE_STATS": "1",
    "AI_SDK_LOG_WARNINGS": "false",
}
"""No telemetry, and no download of what a client would like to have."""


def root() -> Path:
    return cache_root() / "clients"


def make(client: Client) -> None:
    """Raises EnvironmentFailure."""
    if client.environment == JAVASCRIPT:
        try:
            javascript.install()
        except (OSError, subprocess.SubprocessError) as error:
            raise EnvironmentFailure(f"npm can't install the clients: {error}") from error
    elif client.environment not in (GATEWAY, ENGINE):
        ensure(client.environment, OWN_LOCKS, root())


def folder(client: Client) -> Path:
    lock = OWN_LOCKS / f"{client.environment}.txt"
    return environment_folder(client.environment, lock.read_bytes(), root())


def engine_python() -> str:
    """ "" where there is none."""
    return os.environ.get("TIERFLOW_ENGINE_PYTHON", "")


def reason_to_skip(client: Client) -> str:
    """Why the client can't be asked here; "" where it can."""
    if client.environment == JAVASCRIPT:
        return javascript.reason_to_skip()
    if client.environment == GATEWAY:
        return ""
    if client.environment == ENGINE or client.title == "guidellm":
        if not engine_python():
            return "TIERFLOW_ENGINE_PYTHON is not set; `make test-clients` sets it"
    if client.environment != ENGINE and not is_complete(folder(client)):
        return f"{client.title} is not installed; `make test-clients` installs it"
    return ""


def version(client: Client) -> str:
    """Of the client, by its lock."""
    if client.environment == JAVASCRIPT:
        return javascript.version(client.package)
    if client.environment == GATEWAY:
        return installed_version(client.package)
    own = OWN_LOCKS / f"{client.environment}.txt"
    lock = LOCKS / "engine.txt" if client.environment == ENGINE else own
    packages = {package.key: package for package in locked_packages(lock.read_text())}
    return packages[client.package].version


def command(client: Client) -> list[str]:
    """What runs its program."""
    if client.program.endswith(".js"):
        return ["node", str(PROGRAMS / client.program)]
    if client.environment == GATEWAY:
        python = sys.executable
    elif client.environment == ENGINE:
        python = engine_python()
    else:
        python = str(folder(client) / "bin" / "python")
    return [python, "-m", f"tests.clients.programs.{client.program.removesuffix('.py')}"]


def environ(client: Client, user: Path) -> dict[str, str]:
    """`user`: a folder for what it keeps of its user."""
    found = javascript.environ() if client.environment == JAVASCRIPT else dict(os.environ)
    found |= QUIET | {"LLM_USER_PATH": str(user / "llm")}
    if client.title == "guidellm":
        # Its data loader needs torch, which would be a second gigabyte.
        engine = Path(engine_python()).parent.parent
        (packages,) = engine.glob("lib/python*/site-packages")
        found["TORCH_SITE_PACKAGES"] = str(packages)
    return found


def make_all() -> None:
    """Raises EnvironmentFailure."""
    for client in CLIENTS.values():
        make(client)
