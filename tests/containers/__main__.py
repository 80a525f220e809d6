"""`python -m tests.containers`: the chart, rendered by Helm, as real containers that answer.

Renders charts/tierflow with deploy/podman/values.yaml, starts it with `podman kube play`, looks how
the containers are confined, asks both tiers, kills an engine under load, and removes everything.
Needs podman (or CONTAINER_TOOL) and the images of `make images`. The last line is a JSON object.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path

from openai import OpenAI

from tests.containers.checks import answered, confined, survived, wait_until_ready
from tests.containers.kube_play import Unplayable, playable
from tests.containers.podman import Played, Podman, PodmanFailed
from tests.containers.rendering import ROOT, render
from tests.servers import free_port

VALUES = ROOT / "deploy/podman/values.yaml"
VICTIM = "tierflow-edge-engine"


def prove(podman: Podman, folder: Path, memory: Path) -> dict[str, bool]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    parts = playable(render(VALUES), {"gateway": port}, memory)
    key = base64.b64decode(parts.secrets["tierflow-keys"]["key"]).decode()
    print("left out:", ", ".join(f"{n} {kind}" for kind, n in sorted(parts.left_out.items())))
    played = Played(podman, parts, folder)
    missing = [image for image in played.images if not podman.has_image(image)]
    if missing:
        raise PodmanFailed(f"no image {', '.join(missing)}: run `make images` first")
    played.check_names()
    try:
        played.start()
        wait_until_ready(played, podman, url, key)
        confined(played, podman)
        with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
            return {
                "answered": answered(client),
                "survived_engine_kill": survived(client, podman, VICTIM),
            }
    finally:
        played.remove()


def main() -> int:
    try:
        with (
            tempfile.TemporaryDirectory(prefix="tierflow-") as folder,
            tempfile.TemporaryDirectory(prefix="tierflow-", dir="/dev/shm") as memory,
        ):
            shown = prove(Podman(), Path(folder), Path(memory))
    except (PodmanFailed, Unplayable, AssertionError) as failure:
        print(f"test-containers: error: {failure}", file=sys.stderr)
        return 1
    print(json.dumps(shown, separators=(",", ":")))
    return 0 if all(shown.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
