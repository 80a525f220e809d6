"""`python -m deploy.images NAME…`: build images with docker, podman or buildah.

The names are those of the table in `deploy.images.recipes`. Variables: CONTAINER_TOOL, PIP_CONF (a
pip.conf for the build), PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, IMAGE_REGISTRY, IMAGE_ARGS (further
arguments for the tool's build command).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from deploy.images.building import ROOT, command, revision, version
from deploy.images.recipes import RECIPES
from deploy.images.tool import NoTool, container_tool


def main(argv: Sequence[str]) -> int:
    unknown = sorted(set(argv) - set(RECIPES))
    if unknown or not argv:
        wrong = f"no image {unknown[0]}" if unknown else "no image named"
        print(f"images: error: {wrong}; there are {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    try:
        tool = container_tool(os.environ)
    except NoTool as error:
        print(f"images: error: {error}", file=sys.stderr)
        return 1
    # HEALTHCHECK is no part of the OCI's own format, which podman and buildah would take.
    environment = {**os.environ, "BUILDAH_FORMAT": "docker"}
    for name in argv:
        build = command(tool, RECIPES[name], os.environ, version(), revision())
        print("+", *build, flush=True)
        if subprocess.run(build, cwd=ROOT, env=environment).returncode:
            print(f"images: error: {name} was not built, see above", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
