"""How much memory this process may have: the limit of its control group."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def memory_limit_bytes(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int | None:
    """The least limit of the groups that the process is in; None where there is none. Linux has
    the groups in two versions of a file system, of which both may be there."""
    limits = [
        int(text)
        for folder, name in _groups(root, membership)
        for file in (folder / name,)
        if (text := _read(file).strip()).isdigit()
    ]
    # The first version says "no limit" with a number beyond any memory.
    return min((limit for limit in limits if limit < 2**60), default=None)


def _groups(root: Path, membership: Path) -> list[tuple[Path, str]]:
    """Folders and the name of the limit in each. Inside of a container the root is its own group,
    whatever the membership says."""
    found = [(root, "memory.max"), (root / "memory", "memory.limit_in_bytes")]
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append((root / path.lstrip("/"), "memory.max"))
        elif "memory" in controllers.split(","):
            found.append((root / "memory" / path.lstrip("/"), "memory.limit_in_bytes"))
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
