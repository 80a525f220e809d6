"""A further pass over a family, in the engine environment."""

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.services.model_family.engine_environment import command, python

pytestmark = pytest.mark.engine

# The members of a family against the exits of the model that they are joined to.
JOINED = """
import json, sys, torch
from pathlib import Path
from services.model_family.export.checkpoints import load_family, load_member
from services.model_family.members import TIERS, member
folder = Path(sys.argv[1])
family = load_family(folder)
tokens = torch.randint(0, family.shape.vocabulary, (2, 30))
features = family(tokens)
differences = []
for index in (0, len(TIERS) - 1):
    alone = load_member(folder / member(TIERS[index]))
    ours, theirs = family.logits(features[index]), alone.logits(alone(tokens)[-1])
    differences.append(float((ours - theirs).abs().max()))
print(json.dumps(differences))
"""


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A family as a first training exports it."""
    run, target = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("target")
    for arguments in (
        ("train", "--preset", "tiny", "--run-dir", run, "--steps", "2"),
        ("export", "--run-dir", run, "--target", target),
    ):
        done = command(*arguments)
        assert done.returncode == 0, done.stderr
    return target


def test_the_pass_begins_with_the_members_as_they_are(family: Path) -> None:
    done = python("-c", JOINED.replace("sys.argv[1]", repr(str(family))))
    assert done.returncode == 0, done.stderr
    assert max(json.loads(done.stdout)) < 1e-5


def test_the_pass_writes_members_and_tells_how_long_it_took(family: Path, tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "target"
    done = command(
        "further", "--weights", family, "--run-dir", run, "--target", target, "--steps", "1"
    )
    assert done.returncode == 0, done.stderr
    differences = [float(line.split()[-1]) for line in done.stdout.splitlines()[1:]]
    assert len(differences) == 3 and max(differences) < 2e-3
    about = json.loads((target / "training.json").read_text())
    assert about["preset"] == "tiny" and [one["steps"] for one in about["further"]] == [1]
    assert (target / "loss_further.png").stat().st_size > 0


def test_a_small_member_can_go_on_alone_and_keeps_what_devices_need(
    family: Path, tmp_path: Path
) -> None:
    options = ("--weights", family, "--run-dir", tmp_path / "run", "--target", tmp_path)
    done = command("further", "--alone", "device", *options, "--steps", "1")
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "rill-device").iterdir()}
    assert written >= {"model.onnx", "model.safetensors", "tierflow-device.json", "training.json"}
    assert [path.name for path in tmp_path.glob("rill-*")] == ["rill-device"]


def test_a_pass_of_the_family_leaves_a_member_that_went_on_alone_as_it_is(
    family: Path, tmp_path: Path
) -> None:
    start, target = tmp_path / "start", tmp_path / "target"
    shutil.copytree(family, start)
    for arguments in (
        ("--alone", "device", "--weights", family, "--run-dir", tmp_path / "1", "--target", start),
        ("--weights", start, "--run-dir", tmp_path / "2", "--target", target),
    ):
        done = command("further", *arguments, "--steps", "2")
        assert done.returncode == 0, done.stderr
    assert "rill-device" not in done.stdout
    for member in ("rill-device", "rill-edge"):
        files = [folder / member / "model.safetensors" for folder in (start, target)]
        same = files[0].read_bytes() == files[1].read_bytes()
        assert same is (member == "rill-device")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("further", "--weights", "nowhere"), "nowhere"),
        (("further", "--minutes", "0"), "--minutes"),
        (("further", "--alone", "cloud"), "--alone"),
        (("evaluate-first", "--weights", "nowhere"), "nowhere"),
        (("evaluate-first", "--tuning", "--write-card"), "--write-card"),
    ],
)
def test_bad_input_gets_one_line_that_names_it(arguments: tuple[str, ...], message: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
