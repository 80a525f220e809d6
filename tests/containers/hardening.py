"""Whether a running container is confined as its manifest says, asked of its kernel state."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.containers.podman import Podman

PROGRAMS = ("/bin/sh", "sh", "dash", "bash", "busybox", "perl", "apt", "dpkg", "pip", "curl", "su")
"""What whoever breaks in would look for."""

LOOK = """
import importlib.util, json, subprocess, sys
status = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
def writable(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
def starts(program):
    try:
        subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True)
        return True
    except OSError:
        return False
print(json.dumps({
    "user": int(status["Uid"].split()[0]),
    "group": int(status["Gid"].split()[0]),
    "capabilities": [status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")],
    "no_new_privileges": status["NoNewPrivs"].strip() == "1",
    "seccomp_filter": status["Seccomp"].strip() == "2",
    "root_writable": writable("/written") or writable("/opt/tierflow/written"),
    "tmp_writable": writable("/tmp/written"),
    "programs": [name for name in sys.argv[1:] if starts(name)],
    "pip": importlib.util.find_spec("pip") is not None,
}))
"""

CONFINED = {
    "user": 65532,
    "group": 65532,
    "capabilities": ["0" * 16] * 3,
    "no_new_privileges": True,
    "seccomp_filter": True,
    "root_writable": False,
    "tmp_writable": True,
}
WITHOUT_SHELLS = CONFINED | {"programs": [], "pip": False}
"""What a container is whose image has Python alone."""


def lapses(podman: Podman, container: str, wanted: Mapping[str, object]) -> dict[str, object]:
    """What is not as it should be in the container, by name; empty where all is."""
    seen = json.loads(podman.run("exec", container, "python", "-c", LOOK, *PROGRAMS))
    return {name: seen[name] for name, value in wanted.items() if seen[name] != value}
