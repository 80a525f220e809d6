"""What an environment needs of the system beside Python, by the Debian packages that have it.

Runs on the system's Python with nothing but its library.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
from collections.abc import Collection, Mapping

LIBRARIES = {"libnuma.so.1": "libnuma1"}
"""System libraries that vLLM's CPU build needs and no wheel has, with their Debian packages."""


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


def _remedy(packages: Collection[str]) -> str:
    if shutil.which("apt-get"):
        sudo = "" if os.geteuid() == 0 else "sudo "
        return f"install with: {sudo}apt-get install -y {' '.join(packages)}"
    return "install them; these are Debian's names"
