"""`python -m deploy.supply_chain.image_packages`: what each image installs, as JSON by its name.

What pip would resolve in an image's build is found here by the metadata of this environment, which
is installed from the same lock. Packages of a marker that does not hold here are left out.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from deploy.images.build import ROOT
from deploy.images.locked import locked_packages, normalized
from deploy.images.requirements import requirements

EXTRAS = {"gateway": ["gateway", "embedding"], "device": ["device"], "device-jetson": ["device"]}
"""As the Dockerfiles name them."""
WITHOUT_DEPENDENCIES = {"gateway": ["embedding-model"]}
LOCKS = ROOT / "deploy/locks"


def image_packages() -> dict[str, list[str]]:
    """The names, as indexes compare them, by the image's name."""
    found = {name: set(closure(requirements(PYPROJECT, extras))) for name, extras in EXTRAS.items()}
    optional = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    for name, extras in WITHOUT_DEPENDENCIES.items():
        found[name] |= {_key(line) for extra in extras for line in optional[extra]}
    found["device-jetson"] |= {each.key for each in locked_packages(_lock("jetson"))}
    left_out = set((ROOT / "deploy/images/engine_left_out.txt").read_text().split())
    found["vllm-cpu"] = {each.key for each in locked_packages(_lock("engine"))} - left_out
    found["vllm"] = set()
    return {name: sorted(names) for name, names in sorted(found.items())}


PYPROJECT = ROOT / "pyproject.toml"


def _lock(name: str) -> str:
    return Path(LOCKS / f"{name}.txt").read_text()


def _key(requirement: str) -> str:
    return normalized(Requirement(requirement).name)


def closure(lines: Iterable[str]) -> set[str]:
    """The packages of these requirements and all that they require. Raises PackageNotFoundError for
    one that is not installed here."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    open_ = [Requirement(line) for line in lines]
    while open_:
        requirement = open_.pop()
        key = normalized(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        for line in metadata.requires(requirement.name) or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in extras):
                open_.append(needed)
    return found


if __name__ == "__main__":
    print(json.dumps(image_packages()))
