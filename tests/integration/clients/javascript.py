"""The official JavaScript client: where it is installed, outside of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.environments import cache_root, environment_folder

HERE = Path(__file__).parent
PACKAGE = ("package.json", "package-lock.json")


def folder() -> Path:
    """The folder of what the lock file names."""
    return environment_folder("clients", (HERE / "package-lock.json").read_bytes(), cache_root())


def reason_to_skip() -> str:
    """Why the client can't be asked here; "" where it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (folder() / "node_modules" / "openai").is_dir():
        return "the npm package openai is not installed; `make test-clients` installs it"
    return ""


def install() -> None:
    """What the lock file names, by its hashes. Raises OSError and subprocess.CalledProcessError."""
    if not reason_to_skip():
        return
    folder().mkdir(parents=True, exist_ok=True)
    for name in PACKAGE:
        shutil.copy(HERE / name, folder())
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=folder(), check=True, timeout=300)


def call(*arguments: str) -> str:
    """What caller.js prints."""
    done = subprocess.run(
        ["node", HERE / "caller.js", *arguments],
        env={**os.environ, "NODE_PATH": str(folder() / "node_modules")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
