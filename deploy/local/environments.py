"""Makes the Python environments of a checkout, once per lock file.

    python3 deploy/local/environments.py gateway|engine|tools [--then engine]

prints the path of the environment's Python, its only line on stdout; everything else goes to
stderr. Environments lie outside the checkout under a name made from the lock file's hash, so that
a second checkout finds them ready. Runs on the system's Python with nothing but its library.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

if not __package__:
    # Run as a file, Python looks beside it.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    from deploy.local.installation.interpreter import use_a_new_enough_python

    # An older one could not even import what follows.
    use_a_new_enough_python()

from deploy.images.locked import locked_packages
from deploy.images.torch_build import (
    DISK_GB,
    DOWNLOAD_GB,
    cost,
    cpu_build,
    has_files,
    with_default_build,
)
from deploy.local.installation.package_index import (
    IndexUnreachable,
    check_indexes,
    uv_environment,
)
from deploy.local.installation.steps import (
    InstallationProgress,
    StepFailed,
    StepRunner,
    explain,
    report,
)
from deploy.local.installation.system_packages import (
    missing_packages,
    missing_sentence,
    shared_memory_problem,
)
from gateway.protocol.configuration.variables import variables_problem

LOCKS = Path(__file__).resolve().parent.parent / "locks"
RECIPE = "1"
"""Part of every environment's name: raise it when the steps below change."""

FREE_DISK_GB = {"gateway": 2.0, "engine": 7.0, "tools": 0.3}
"""Disk that an installation takes: the files, and the packages from which they come."""

LOCAL_ENGINES = 2
"""What `make up` starts: the edge's and the cloud's."""

DEFAULT_TORCH = "default-torch.txt"
"""The lock of what stands in place of the engine's torch where no index has its CPU build."""

MARKER = "complete"
"""Written last into a finished environment; without it a folder is a half-made one."""


class EnvironmentFailure(Exception):
    """An environment that can't be made; the message is one line for the user."""


def cache_root() -> Path:
    """The folder that holds all environments."""
    if chosen := os.environ.get("TIERFLOW_CACHE", "").strip():
        return Path(os.path.expanduser(chosen)).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
    return Path(os.path.expanduser(base)) / "tierflow"


def environment_folder(name: str, lock: bytes, root: Path) -> Path:
    """Where the environment for the content of this lock file lies, made or not."""
    python = f"{platform.python_implementation()} {sys.version_info[0]}.{sys.version_info[1]}"
    key = hashlib.sha256()
    for part in (lock, python.encode(), platform.machine().encode(), RECIPE.encode()):
        key.update(len(part).to_bytes(8, "big") + part)
    return root / f"{name}-{key.hexdigest()[:12]}"


def is_complete(folder: Path) -> bool:
    """Whether the environment was finished and its interpreter is still there."""
    return (folder / MARKER).is_file() and (folder / "bin" / "python").exists()


def ensure(
    name: str, locks: Path = LOCKS, root: Path | None = None, *, then: Collection[str] = ()
) -> Path:
    """The Python of environment `name`, which is made first if it is missing.

    `then` are the environments that are made next: what they need of the system is checked before
    anything is downloaded. Safe to call from several processes at once: one makes it, the others
    wait for that one. Raises EnvironmentFailure.
    """
    lock = locks / f"{name}.txt"
    if not lock.is_file():
        raise EnvironmentFailure(f"the lock file {lock} is missing")
    root = root or cache_root()
    folder = environment_folder(name, lock.read_bytes(), root)
    if not is_complete(folder):
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFailure(
                f"can't make {root}: {error.strerror}; set TIERFLOW_CACHE to a folder of yours"
            ) from error
        check_system({name, *then})
        with locked(folder.with_suffix(".lock")) as lock_fd:
            if not is_complete(folder):
                make(name, lock, folder, lock_fd)
    return folder / "bin" / "python"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock at `path`; gives its file descriptor.

    The lock is released when no process has the file open any more, however they ended.
    """
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process that makes {path.stem}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


def make(name: str, lock: Path, folder: Path, lock_fd: int) -> None:
    """Build the environment in `folder`; the marker is its last file.

    `lock_fd` is the lock's file descriptor. Every step keeps it open, so that a step that outlives
    this process still keeps others out.
    """
    if folder.exists():
        report(f"removing a half-made {folder.name}")
        shutil.rmtree(folder)
    check_disk(name, folder.parent)
    count = len(locked_packages(lock.read_text()))
    report(f"making the {name} environment, {count} packages, in {folder}")
    log = folder.with_suffix(".log")
    started = time.monotonic()
    try:
        with log.open("w") as output:
            progress = InstallationProgress(name, count, started)
            _install(lock, folder, StepRunner(lock_fd, output.write, progress))
            progress.end()
    except (EnvironmentFailure, IndexUnreachable, StepFailed) as failure:
        progress.end()
        reason = str(failure) or explain(log.read_text(errors="replace"))
        shutil.rmtree(folder, ignore_errors=True)
        raise EnvironmentFailure(f"{reason} (log: {log})") from failure
    (folder / MARKER).write_text(f"{lock.name}\n")
    report(f"the {name} environment is ready, after {time.monotonic() - started:.0f} s")


def _install(lock: Path, folder: Path, runner: StepRunner) -> None:
    """Raises EnvironmentFailure, IndexUnreachable, StepFailed."""
    python = str(folder / "bin" / "python")
    runner.run("an empty environment", empty_environment(folder))
    packages = locked_packages(lock.read_text())
    if packages:
        runner.progress.stage("looking for the package index")
        check_indexes(python, packages[0].name)
    requirements = chosen_requirements(lock, folder)
    runner.progress.packages = len(locked_packages(requirements.read_text()))
    by_uv = uv_install(python, requirements)
    if by_uv is None or not runner.succeeds("packages, by uv", *by_uv):
        runner.run("packages", pip_install(python, requirements))
    # Some packages ship templates that are not valid Python, so its exit code says little.
    compile_all = [python, "-m", "compileall", "-q", "-j", "0", "-x", "/tests?/", str(folder)]
    runner.succeeds("bytecode", compile_all)


def empty_environment(folder: Path) -> list[str]:
    """The command that makes one."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return [base, "-m", "venv", str(folder)]


def chosen_requirements(lock: Path, folder: Path) -> Path:
    """The lock, or one in `folder` that has torch's default build where no index has the CPU's."""
    instead = lock.with_name(DEFAULT_TORCH)
    packages = locked_packages(lock.read_text())
    torch = cpu_build(packages)
    if torch is None or not instead.is_file():
        return lock
    if has_files(str(folder / "bin" / "python"), torch):
        return lock
    report(cost(torch))
    check_disk(lock.stem, folder.parent, DOWNLOAD_GB + DISK_GB)
    merged = folder / "requirements.txt"
    chosen = with_default_build(packages, locked_packages(instead.read_text()))
    merged.write_text("".join(f"{package.entry}\n" for package in chosen))
    return merged


def pip_install(python: str, requirements: Path) -> list[str]:
    """pip's command: files of the lock's hashes, and nothing else."""
    command = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # Bytecode is compiled afterwards on all cores; pip would use one.
    command += ["--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    return [*command, "-r", str(requirements)]


def uv_install(python: str, requirements: Path) -> tuple[list[str], Mapping[str, str]] | None:
    """uv's command and its environment, where uv is on PATH and can ask the same indexes."""
    uv = shutil.which("uv")
    environ = uv_environment(python) if uv else None
    if uv is None or environ is None:
        return None
    command = [uv, "pip", "install", "--python", python, "--no-progress", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "-r", str(requirements)]
    return command, environ


def check_disk(name: str, root: Path, more: float = 0.0) -> None:
    """`more` is in GB, beside what the environment always needs."""
    needed = FREE_DISK_GB.get(name, 0.0) + more
    free = shutil.disk_usage(root).free / 1e9
    if free < needed:
        raise EnvironmentFailure(
            f"the {name} environment needs {needed:.1f} GB of disk, {root} has {free:.1f} GB: "
            "free some, or set TIERFLOW_CACHE to a folder on another disk"
        )


def check_system(names: Collection[str]) -> None:
    """Raises EnvironmentFailure that names all that the system lacks for these environments."""
    if missing := missing_packages(names):
        raise EnvironmentFailure(missing_sentence(missing))
    if "engine" not in names and (missing := missing_packages({"engine"})):
        report(f"engines on this machine will need more: {missing_sentence(missing)}")
    if "engine" in names and (problem := shared_memory_problem(LOCAL_ENGINES)):
        raise EnvironmentFailure(problem)


def main() -> int:
    parser = argparse.ArgumentParser(prog="environments.py", description=__doc__)
    parser.add_argument("name", choices=sorted(FREE_DISK_GB))
    parser.add_argument(
        "--then",
        choices=sorted(FREE_DISK_GB),
        nargs="*",
        default=[],
        help="environments that are made next; what they need is checked first",
    )
    arguments = parser.parse_args()
    name = arguments.name
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # A misspelt variable is told of now, not after minutes of installing.
        if problem := variables_problem(os.environ):
            report(f"tierflow: {problem}")
            return 2
        print(ensure(name, then=arguments.then))
    except EnvironmentFailure as failure:
        report(f"tierflow: {failure}")
        return 1
    except KeyboardInterrupt:
        report(f"tierflow: interrupted; the {name} environment is not made")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
