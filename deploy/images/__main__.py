"""`python -m deploy.images NAME…`: build images with docker, podman or buildah.

The names are those of the table in `deploy.images.build`. Variables: CONTAINER_TOOL, PIP_CONF (a
pip.conf for the build), PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, IMAGE_REGISTRY, IMAGE_ARGS (further
arguments for the tool's build command).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from deploy.images.build import (
    RECIPES,
    ROOT,
    ToolMissing,
    build_command,
    container_tool,
    revision,
    version,
)
from gateway.protocol.nearest import nearest


def main(argv: Sequence[str]) -> int:
    unknown = sorted(set(argv) - set(RECIPES))
    if unknown or not argv:
        problem = f"there is no image {unknown[0]}" if unknown else "name an image"
        near = nearest(unknown[0], RECIPES) if unknown else None
        hint = f"did you mean {near}? The" if near else "the"
        print(f"images: error: {problem}; {hint} images are {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    try:
        tool = container_tool(os.environ)
    except ToolMissing as error:
        print(f"images: error: {error}", file=sys.stderr)
        return 1
    # HEALTHCHECK is not in the OCI's own format, which is the default of podman and buildah.
    environment = {**os.environ, "BUILDAH_FORMAT": "docker"}
    for name in argv:
        build = build_command(tool, RECIPES[name], os.environ, tag=version(), commit=revision())
        print("+", *build, flush=True)
        if subprocess.run(build, cwd=ROOT, env=environment).returncode:
            print(f"images: error: {name} was not built, see above", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
