"""Makes the Python environments of a checkout, once per lock file.

    python3 deploy/local/environments.py gateway|engine|tools

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
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

OLDEST_PYTHON = (3, 11)
LOCKS = Path(__file__).resolve().parent.parent / "locks"
RECIPE = "1"
"""Part of every environment's name: raise it when the steps below change."""

FREE_DISK_GB = {"gateway": 2.0, "engine": 7.0, "tools": 0.3}
"""Disk that an installation takes: the files, and the packages from which they come."""

MARKER = "complete"
"""Written last into a finished environment; without it a folder is a half-made one."""


class EnvironmentFailure(Exception):
    """An environment that can't be made; the message is one line for the user."""


def cache_root() -> Path:
    """The folder that holds all environments."""
    if chosen := os.environ.get("TIERFLOW_CACHE"):
        return Path(os.path.expanduser(chosen)).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
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


def ensure(name: str, locks: Path = LOCKS, root: Path | None = None) -> Path:
    """The Python of environment `name`, which is made first if it is missing.

    Safe to call from several processes at once: one makes it, the others wait for that one.
    Raises EnvironmentFailure.
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
    check_venv_module()
    # The lines that begin with a space are the hashes of the package above them.
    packages = [line for line in lock.read_text().splitlines() if line and line[0] not in "# "]
    report(f"making the {name} environment, {len(packages)} packages, in {folder}")
    log = folder.with_suffix(".log")
    started = time.monotonic()
    with log.open("w") as output:
        progress = InstallationProgress(name, len(packages), started)
        for step, command, required in steps(lock, folder):
            progress.stage(step)
            code = run_logged(command, lock_fd, output.write, progress.line)
            output.flush()
            if code and required:
                progress.end()
                reason = explain(log.read_text(errors="replace"))
                shutil.rmtree(folder, ignore_errors=True)
                raise EnvironmentFailure(f"{reason} (log: {log})")
        progress.end()
    (folder / MARKER).write_text(f"{lock.name}\n")
    report(f"the {name} environment is ready, after {time.monotonic() - started:.0f} s")


def steps(lock: Path, folder: Path) -> list[tuple[str, list[str], bool]]:
    """The steps in their order: name, command, and whether the command must succeed."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # Bytecode is compiled afterwards on all cores; pip would use one.
    pip += ["--no-compile", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    pip += ["-r", str(lock)]
    compile_all = [python, "-m", "compileall", "-q", "-j", "0", "-x", "/tests?/", str(folder)]
    return [
        ("an empty environment", [base, "-m", "venv", str(folder)], True),
        ("packages", pip, True),
        # Some packages ship templates that are not valid Python, so its exit code says little.
        ("bytecode", compile_all, False),
    ]


def run_logged(
    command: list[str], lock_fd: int, write: Callable[[str], object], line: Callable[[str], None]
) -> int:
    """Run to the end; every line of output goes to both callables."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock_fd],
    ) as process:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                write(text)
                line(text)
            return process.wait()
        finally:
            process.kill()


class InstallationProgress:
    """The progress of an installation: a live line on a terminal, else a line per 10 s."""

    def __init__(self, name: str, packages: int, started: float) -> None:
        self.name, self.packages, self.started = name, packages, started
        self.seen = 0
        self.current = ""
        self.live = sys.stderr.isatty()
        self.shown = started

    def stage(self, step: str) -> None:
        self.current = step
        self.show(force=True)

    def line(self, text: str) -> None:
        if match := re.match(r"(?:Collecting|Processing) (\S+)", text):
            self.seen += 1
            package = match[1].rsplit("/", 1)[-1].split("-cp")[0]
            self.current = f"{package} ({self.seen} of {self.packages})"
            self.show()
        elif text.startswith("Installing collected packages"):
            self.current = f"unpacking {self.packages} packages"
            self.show(force=True)

    def show(self, force: bool = False) -> None:
        now = time.monotonic()
        text = f"{self.name}: {self.current}, {now - self.started:.0f} s"
        if self.live:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
        elif force or now - self.shown >= 10:
            self.shown = now
            report(text)

    def end(self) -> None:
        if self.live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def check_disk(name: str, root: Path) -> None:
    needed = FREE_DISK_GB.get(name, 0.0)
    free = shutil.disk_usage(root).free / 1e9
    if free < needed:
        raise EnvironmentFailure(
            f"the {name} environment needs {needed:.1f} GB of disk, {root} has {free:.1f} GB: "
            "free some, or set TIERFLOW_CACHE to a folder on another disk"
        )


def check_venv_module() -> None:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise EnvironmentFailure(
            f"this Python {version} has no venv module: install the package python{version}-venv"
        ) from error


UNREACHABLE = re.compile(
    r"name resolution|NewConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded"
    r"|ProxyError|SSLError|Network is unreachable|Connection refused"
)


def explain(log: str) -> str:
    """The reason why an installation failed, in one line, from pip's output."""
    if "No space left on device" in log:
        return "the disk is full: free some, or set TIERFLOW_CACHE to a folder on another disk"
    if mismatch := re.search(r"\n\s+(\S+) from \S+.*\n\s+Expected sha256", log):
        return (
            f"the index gives other bytes for {mismatch[1]} than the lock's hashes say: ask where "
            "they are from before you trust them"
        )
    if UNREACHABLE.search(log):
        return "the Python package index can't be reached: check the network, PIP_INDEX_URL"
    missing = re.search(
        r"(?:satisfies the requirement|No matching distribution found for) (\S+)", log
    )
    if missing and missing[1].startswith("torch=="):
        return (
            f"no index has {missing[1]}: add PyTorch's CPU wheel index as an extra index "
            "(PIP_EXTRA_INDEX_URL)"
        )
    if missing:
        return f"no index has a wheel of {missing[1]} for this Python and machine"
    errors = [line for line in log.splitlines() if line.strip()]
    return f"the installation failed: {errors[-1].strip() if errors else 'no output'}"


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def use_a_newer_python() -> None:
    """Run this script again on a Python that is new enough, if there is one."""
    for minor in range(OLDEST_PYTHON[1], OLDEST_PYTHON[1] + 4):
        if python := shutil.which(f"python3.{minor}"):
            os.execv(python, [python, *sys.argv])
    raise EnvironmentFailure(
        f"Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later is needed, this is "
        f"{platform.python_version()}: install the packages python3.11 and python3.11-venv"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="environments.py", description=__doc__)
    parser.add_argument("name", choices=sorted(FREE_DISK_GB))
    name = parser.parse_args().name
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if sys.version_info < OLDEST_PYTHON:
            use_a_newer_python()
        print(ensure(name))
    except EnvironmentFailure as failure:
        report(f"tierflow: {failure}")
        return 1
    except KeyboardInterrupt:
        report(f"tierflow: interrupted; the {name} environment is not made")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
