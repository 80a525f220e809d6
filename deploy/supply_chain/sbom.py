"""`python -m deploy.supply_chain.sbom FOLDER < images.json`: bills of materials, CycloneDX JSON.

One for each lock file and one for each image: its packages with their versions, package URLs and
the SHA-256 of the files that may be installed, and the image that it is built on. What a base image
holds is not known here: scan it, or take the bill of who builds it. `images.json` is what
`deploy.supply_chain.image_packages` prints. Runs in the tools' environment.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from packageurl import PackageURL

from deploy.images.build import RECIPES, ROOT, version
from deploy.images.locked import LockedPackage, locked_packages

LOCKS = ROOT / "deploy/locks"
LOCK_OF = {"vllm-cpu": ["engine"], "device-jetson": ["gateway", "jetson"]}
"""Where not the gateway's alone."""


def library(package: LockedPackage) -> Component:
    url = PackageURL("pypi", name=package.key, version=package.version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in package.hashes]
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=url,
        bom_ref=str(url),
        hashes=hashes,
    )


def base_images(dockerfile: str) -> list[Component]:
    """What the stages of a Dockerfile are built on by default."""
    defaults = re.findall(r"^ARG \w*(?:IMAGE|BASE)=(\S+)$", dockerfile, re.MULTILINE)
    return [
        Component(type=ComponentType.CONTAINER, name=name, version=tag, bom_ref=f"{name}:{tag}")
        for name, _, tag in (reference.rpartition(":") for reference in dict.fromkeys(defaults))
    ]


def bill(name: str, kind: ComponentType, parts: Iterable[Component]) -> str:
    """The bill of `name` as JSON. Raises ValueError where it breaks CycloneDX's schema."""
    bom = Bom(components=parts)
    bom.metadata.component = Component(type=kind, name=name, version=version(), bom_ref=name)
    bom.register_dependency(bom.metadata.component, bom.components)
    text: str = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(
        indent=2
    )
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    if problem := validator.validate_str(text):
        raise ValueError(f"{name}: {problem}")
    return text


def bills(images: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """All bills by their file's name."""
    locks = {lock.stem: locked_packages(lock.read_text()) for lock in sorted(LOCKS.glob("*.txt"))}
    found = {
        f"lock-{name}.cdx.json": bill(f"{name} lock", ComponentType.APPLICATION, map(library, each))
        for name, each in locks.items()
    }
    for name, names in images.items():
        pinned = {p.key: p for lock in LOCK_OF.get(name, ["gateway"]) for p in locks[lock]}
        parts = [library(pinned[key]) for key in names]
        parts += base_images((ROOT / RECIPES[name].dockerfile).read_text())
        image = RECIPES[name].image
        found[f"image-{name}.cdx.json"] = bill(image, ComponentType.CONTAINER, parts)
    return found


def main(argv: Sequence[str]) -> int:
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in bills(json.load(sys.stdin)).items():
        (folder / name).write_text(text + "\n")
        print(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
