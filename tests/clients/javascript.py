"""The JavaScript clients: where npm installs them, outside of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.environments import cache_root, environment_folder, locked

LOCK = Path(__file__).parent / "locks" / "package-lock.json"
PACKAGE = ("package.json", LOCK.name)
LAST = "node_modules/.package-lock.json"
"""npm writes it when all packages are there."""


def folder() -> Path:
    """The folder of what the lock file names."""
    return environment_folder("clients", LOCK.read_bytes(), cache_root())


def reason_to_skip() -> str:
    """Why the clients can't be asked here; "" where they can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if not (folder() / LAST).is_file():
        return "the npm packages are not installed; `make test-clients` installs them"
    return ""


def install() -> None:
    """What the lock file names, by its hashes. Raises OSError and subprocess.SubprocessError."""
    folder().mkdir(parents=True, exist_ok=True)
    with locked(folder().with_suffix(".lock")):
        if not reason_to_skip():
            return
        for name in PACKAGE:
            shutil.copy(LOCK.with_name(name), folder())
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder(), check=True, timeout=300)


def version(package: str) -> str:
    """What the lock names."""
    packages = json.loads(LOCK.read_text())["packages"]
    return str(packages[f"node_modules/{package}"]["version"])


def call(program: Path, *arguments: str) -> str:
    """What a program that ends by itself prints."""
    done = subprocess.run(
        ["node", program, *arguments],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environ() -> dict[str, str]:
    """In which `require` finds the packages."""
    return {**os.environ, "NODE_PATH": str(folder() / "node_modules")}
