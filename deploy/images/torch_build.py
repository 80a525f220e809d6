"""Which build of torch an engine gets: the CPU's where pip finds it, else the default one.

python -m deploy.images.torch_build LOCK DEFAULT    the lock's entries, with the build that is found

PyTorch's CPU build is on an index of its own. The default build is on every one, and can't be
imported without the CUDA libraries that it needs: DEFAULT is the lock of both. Runs on nothing but
Python's library, in the images' build stages too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.images.locked import LockedPackage, locked_packages

PIP = ("-m", "pip", "--no-input", "--disable-pip-version-check")
DOWNLOAD_GB, DISK_GB = 2.4, 3.1
"""What the default build takes beyond the CPU's."""


def torch_entries(lock: Path, default: Path, python: str) -> list[str]:
    """The entries of `lock`, with the build of torch that this Python's pip finds. Says on stderr
    what another one costs."""
    packages = locked_packages(lock.read_text())
    torch = cpu_build(packages)
    if torch is not None and not has_files(python, torch):
        print(cost(torch), file=sys.stderr, flush=True)
        packages = with_default_build(packages, locked_packages(default.read_text()))
    return [package.entry for package in packages]


def cpu_build(packages: list[LockedPackage]) -> LockedPackage | None:
    """torch, where these packages have its CPU build."""
    return next((p for p in packages if p.key == "torch" and "+cpu" in p.version), None)


def has_files(python: str, package: LockedPackage) -> bool:
    """Whether pip finds a file of the package for this Python, of the right hash."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(f"{package.entry}\n")
        requirements.flush()
        command = [python, *PIP, "install", "--dry-run", "--quiet", "--ignore-installed"]
        command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
        found = subprocess.run([*command, "-r", requirements.name], capture_output=True)
    return found.returncode == 0


def with_default_build(
    packages: list[LockedPackage], default: list[LockedPackage]
) -> list[LockedPackage]:
    """`packages` with those of `default` in the place of their own of the same names."""
    replaced = {package.key for package in default}
    return [*(package for package in packages if package.key not in replaced), *default]


def cost(torch: LockedPackage) -> str:
    """One line for the user."""
    return (
        f"no package index has {torch.pin} for this Python: taking torch's default build with the "
        f"CUDA libraries that it needs, {DOWNLOAD_GB} GB more to download and {DISK_GB} GB more of "
        "disk; PyTorch's CPU index in PIP_EXTRA_INDEX_URL saves that"
    )


if __name__ == "__main__":
    lock, default = (Path(word) for word in sys.argv[1:])
    print(*torch_entries(lock, default, sys.executable), sep="\n")
