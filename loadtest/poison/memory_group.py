"""A control group that bounds the memory of what is started in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A group at this folder of the first or second version's file system."""

    folder: Path

    @property
    def within(self) -> tuple[str, ...]:
        """A command that runs the one that follows it in the group."""
        members = self.folder / "cgroup.procs"
        return ("sh", "-c", f'echo $$ > {members} && exec "$@"', "sh")

    @property
    def peak_bytes(self) -> int | None:
        """The most that it has used; None where the kernel does not tell."""
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (file := self.folder / name).is_file():
                return int(file.read_text())
        return None


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup | None]:
    """None where this process may make no group."""
    first = (ROOT / "memory").is_dir()
    parent = ROOT / "memory" if first else ROOT
    folder = parent / f"tierflow-poison-{os.getpid()}"
    try:
        folder.mkdir()
        limit = folder / ("memory.limit_in_bytes" if first else "memory.max")
        limit.write_text(str(limit_bytes))
        if not first:
            (folder / "memory.swap.max").write_text("0")
    except OSError:
        if folder.is_dir():
            folder.rmdir()
        yield None
        return
    try:
        yield MemoryGroup(folder)
    finally:
        folder.rmdir()
