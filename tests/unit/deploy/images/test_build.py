"""`make images`: the tool, and the command line that it gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.images.__main__ import main
from deploy.images.build import RECIPES, ROOT, ToolMissing, build_command, container_tool
from deploy.images.requirements import requirements


def installed(*tools: str) -> dict[str, str]:
    return {tool: f"/usr/bin/{tool}" for tool in tools}


def test_docker_is_taken_before_podman_and_podman_before_buildah() -> None:
    assert container_tool({}, installed("podman", "docker", "buildah").get) == "docker"
    assert container_tool({}, installed("buildah", "podman").get) == "podman"
    assert container_tool({}, installed("buildah").get) == "buildah"


def test_the_tool_can_be_named() -> None:
    named = {"CONTAINER_TOOL": "nerdctl"}
    assert container_tool(named, installed("docker", "nerdctl").get) == "nerdctl"
    with pytest.raises(ToolMissing, match="nerdctl"):
        container_tool(named, installed("docker").get)


def test_without_any_tool_it_says_what_to_install() -> None:
    with pytest.raises(ToolMissing, match="docker, podman"):
        container_tool({}, installed().get)


def test_an_index_is_named_on_the_command_line_but_not_given() -> None:
    environment = {"PIP_EXTRA_INDEX_URL": "https://user:password@index.example/simple"}
    line = build_command("docker", RECIPES["gateway"], environment, tag="1.2.3", commit="abc")
    assert line[line.index("PIP_EXTRA_INDEX_URL") - 1] == "--build-arg"
    assert "password" not in " ".join(line)
    assert "PIP_INDEX_URL" not in line


def test_pips_configuration_goes_in_as_a_secret() -> None:
    line = build_command(
        "podman", RECIPES["device"], {"PIP_CONF": "/x/pip.conf"}, tag="1", commit="abc"
    )
    assert line[line.index("--secret") + 1] == "id=pip,src=/x/pip.conf"


def test_the_registry_stands_before_the_name_and_the_version_behind() -> None:
    environment = {"IMAGE_REGISTRY": "registry.example/", "IMAGE_ARGS": "--no-cache --pull"}
    line = build_command("docker", RECIPES["vllm-cpu"], environment, tag="1.2.3", commit="abc")
    assert line[line.index("--tag") + 1] == "registry.example/tierflow/vllm-cpu:1.2.3"
    assert line.index("--no-cache") + 1 == line.index("--pull")
    assert line[-1] == "."


@pytest.mark.parametrize("names", [[], ["gateway", "toaster"]], ids=["none", "unknown"])
def test_a_wrong_name_is_refused_with_the_right_ones(names: list[str]) -> None:
    run = [sys.executable, "-m", "deploy.images", *names]
    said = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1 and all(name in said.stderr for name in RECIPES)


def test_an_image_gets_the_base_dependencies_and_those_of_its_extra(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\ndependencies = ["a>=1"]\n'
        '[project.optional-dependencies]\nx = ["b"]\ny = ["c"]\n'
    )
    assert requirements(project, ["x"]) == ["a>=1", "b"]
    with pytest.raises(KeyError):
        requirements(project, ["z"])


def test_a_misspelt_image_is_told_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gatway"]) == 2
    assert "there is no image gatway; did you mean gateway? The images are" in (
        capsys.readouterr().err
    )
