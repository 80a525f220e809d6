"""From the table to a folder with a specialist, in the engine environment."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.unit.services.model_family.engine_environment import command

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of the run and of what it wrote."""
    run, target = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("target")
    done = specialise(run, target, "--steps", "1")
    assert done.returncode == 0, done.stderr
    return run, target


def specialise(run: Path, target: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return command("specialise", "--domain", "lists", "--run-dir", run, "--target", target, *more)


def test_a_specialist_s_folder_is_like_a_member_s_and_describes_itself(
    folders: tuple[Path, Path],
) -> None:
    _, target = folders
    written = {path.name for path in (target / "rill-device-lists").iterdir()}
    assert written == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.onnx",
        "model.safetensors",
        "tierflow-device.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
    }
    about = json.loads((target / "rill-device-lists" / "training.json").read_text())
    assert about["start"] == "rill-device" and about["steps"] == 1 and about["tokens"] > 2000


def test_a_run_goes_on_where_it_stopped_and_one_of_another_seed_is_refused(
    folders: tuple[Path, Path],
) -> None:
    done = specialise(*folders, "--steps", "2")
    assert "starting" not in done.stdout and "at step 1" in done.stdout, done.stderr
    done = specialise(*folders, "--seed", "1")
    assert done.returncode == 2
    assert "--run-dir" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("specialise",), "--domain"),
        (("specialise", "--domain", "poetry"), "poetry"),
        (("specialise", "--all", "--minutes", "0"), "--minutes"),
        (("specialise", "--all", "--weights", "nowhere"), "nowhere"),
        (("evaluate-specialists", "--weights", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_gets_one_line_that_names_it(arguments: tuple[str, ...], message: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
