"""The guides start a Jetson by one command: confined, with the GPU, and read by the agent."""

from __future__ import annotations

import re
import shlex

import pytest

from deploy.images.build import ROOT, version
from services.device_agent.arguments import ENROLMENT_TOKEN, parser

IMAGE = f"tierflow/device-jetson:{version()}"
GUIDE, ENROLLED = "docs/kubernetes.md", "docs/device-agent.md"
STATE = "/var/lib/tierflow"


def commands() -> list[tuple[str, list[str]]]:
    """Every command of the guides that starts the image, with the guide; without its comment."""
    found = []
    for file in sorted((ROOT / "docs").glob("*.md")):
        for block in re.findall(r"```\w*\n(.*?)```", file.read_text(), re.DOTALL):
            for command in block.replace("\\\n", " ").splitlines():
                if " run " in command and "device-jetson" in command:
                    words = shlex.split(command, comments=True)
                    found.append((str(file.relative_to(ROOT)), words))
    return found


def values(words: list[str], option: str) -> list[str]:
    return [value for name, value in zip(words, words[1:], strict=False) if name == option]


def the_command(guide: str) -> list[str]:
    (words,) = [words for file, words in commands() if file == guide]
    return words


both = pytest.mark.parametrize("guide", [GUIDE, ENROLLED])


def test_each_guide_has_one_command_and_they_lead_to_each_other() -> None:
    assert [file for file, _ in commands()] == [ENROLLED, GUIDE]
    assert "(kubernetes.md#a-jetson)" in (ROOT / "docs/containers.md").read_text()
    assert "(kubernetes.md#a-jetson)" in (ROOT / ENROLLED).read_text()
    assert "(device-agent.md#one-container-also-on-a-jetson)" in (ROOT / GUIDE).read_text()
    assert "\n## A Jetson\n" in (ROOT / GUIDE).read_text()


@both
def test_its_container_may_use_the_gpu_and_nothing_more_than_it_needs(guide: str) -> None:
    words = the_command(guide)
    assert values(words, "--runtime") == ["nvidia"]
    groups = [re.search(r"getent group (\w+)", each) for each in values(words, "--group-add")]
    assert [group and group[1] for group in groups] == ["video", "render"]
    assert "--read-only" in words and values(words, "--tmpfs") == ["/tmp"]
    assert values(words, "--cap-drop") == ["ALL"]
    assert values(words, "--security-opt") == ["no-new-privileges"]
    assert values(words, "--memory")
    assert all(port.startswith("127.0.0.1:") for port in values(words, "-p"))
    writable = [mount for mount in values(words, "-v") if not mount.endswith(":ro")]
    assert writable == ([f"tierflow-device:{STATE}"] if guide == ENROLLED else [])


@both
def test_the_agent_reads_its_arguments_and_finds_what_is_mounted(guide: str) -> None:
    words = the_command(guide)
    arguments = parser().parse_args(words[words.index(IMAGE) + 1 :])
    mounted = [mount.split(":")[1] for mount in values(words, "-v")]
    for path in (arguments.model, arguments.token_file):
        assert any(str(path).startswith(each) for each in mounted), path
    assert (arguments.drafter, arguments.host) == ("llama", "0.0.0.0")


def test_one_that_enrols_keeps_its_token_where_the_image_lets_it_write() -> None:
    words = the_command(ENROLLED)
    assert values(words, "-e") == [ENROLMENT_TOKEN]
    arguments = parser().parse_args(words[words.index(IMAGE) + 1 :])
    assert str(arguments.token_file.parent) == STATE
    for name in ("Dockerfile", "Dockerfile.jetson"):
        assert f"-o 65532 -g 65532 {STATE}" in (ROOT / "services/device_agent" / name).read_text()
