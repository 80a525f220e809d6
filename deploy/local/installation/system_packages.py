"""What an environment needs of the system beside Python: Debian's packages, and shared memory.

Runs on the system's Python with nothing but its library.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

LIBRARIES = {"libnuma.so.1": "libnuma1"}
"""System libraries that vLLM's CPU build needs and no wheel has, with their Debian packages."""

SHARED_MEMORY = "/dev/shm"
PACKAGE_LISTS = Path("/var/lib/apt/lists")
"""Empty in containers' images: nothing can be installed before `apt-get update`."""
ENGINE_SHARED_MIB = 160
"""vLLM's ring buffer between the processes of one engine; it does not start with less."""


def missing_packages(names: Collection[str]) -> dict[str, str]:
    """The packages that these environments lack, each with what it is for."""
    missing = {}
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        missing[f"python{version}-venv"] = "makes Python environments"
    if "engine" in names:
        missing |= missing_libraries(LIBRARIES)
    return missing


def missing_libraries(libraries: Mapping[str, str]) -> dict[str, str]:
    """The packages of those libraries that can't be loaded."""
    missing = {}
    for library, package in libraries.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing[package] = f"has {library}, which vLLM needs on a CPU"
    return missing


def missing_sentence(packages: Mapping[str, str]) -> str:
    """One line that names every missing package, what it is for, and the command to install it."""
    named = ", ".join(f"{package} ({purpose})" for package, purpose in packages.items())
    what = "system package is" if len(packages) == 1 else "system packages are"
    return f"{len(packages)} {what} missing: {named}; {_remedy(packages)}"


def shared_memory_problem(engines: int, folder: str = SHARED_MEMORY) -> str:
    """One line about too little shared memory for so many engines; empty where it is enough."""
    try:
        free = shutil.disk_usage(folder).free / 2**20
    except OSError:
        return ""
    needed = engines * ENGINE_SHARED_MIB
    if free >= needed:
        return ""
    return (
        f"{folder} has {free:.0f} MiB free, and engines need {needed} MiB: make it larger; a "
        "container gets more with --shm-size=1g"
    )


def _remedy(packages: Collection[str]) -> str:
    if shutil.which("apt-get"):
        sudo = "" if os.geteuid() == 0 else "sudo "
        # A container's image has no list of packages.
        update = "" if any(PACKAGE_LISTS.glob("*_Packages*")) else f"{sudo}apt-get update; "
        return f"install with: {update}{sudo}apt-get install -y {' '.join(packages)}"
    return "install them; these are Debian's names"
