"""Whether a running container is confined as its manifest says, asked of its kernel state."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.containers.podman import Podman

LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/1/status").read().splitlines())
def writable(path):
    try:
        open(path, "w").close()
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
    "shells": [path for path in ("/bin/sh", "/bin/bash", "/usr/bin/perl", "/usr/bin/apt")
               if os.path.exists(path)],
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
WITHOUT_SHELLS = CONFINED | {"shells": []}
"""What a container is whose image has Python alone."""


def lapses(podman: Podman, container: str, wanted: Mapping[str, object]) -> dict[str, object]:
    """What is not as it should be in the container, by name; empty where all is."""
    seen = json.loads(podman.run("exec", container, "python", "-c", LOOK))
    return {name: seen[name] for name, value in wanted.items() if seen[name] != value}
