"""The whole way from data to checkpoints, at the tiny preset, in the engine environment."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.model_family.engine_environment import command, python

pytestmark = pytest.mark.engine


# Of the attention of the first block's first heads, the share on the token 1, 2 and 3 before.
LOOKING_BACK = """
import json, torch
from services.model_family.model import FamilyModel, positions, rotate
from services.model_family.presets import SMALL
torch.manual_seed(0)
model = FamilyModel(SMALL.shape).eval()
x = model.blocks[0].input_layernorm(model.embed_tokens(torch.randint(0, 1536, (4, 60))))
(cos, sin), mask = positions(60, SMALL.shape, x)
first = model.blocks[0].self_attn
q, k = (p(x).view(4, 60, 6, 32).transpose(1, 2) for p in (first.q_proj, first.k_proj))
scores = rotate(q, cos, sin) @ rotate(k, cos, sin).transpose(-1, -2) * 32**-0.5 + mask
seen = scores.softmax(-1)
print(json.dumps([float(seen[:, d - 1].diagonal(-d, 1, 2)[:, 20:].mean()) for d in (1, 2, 3)]))
"""


def lines(run: Path) -> list[dict[str, list[float]]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    run = tmp_path_factory.mktemp("run")
    done = command("train", "--preset", "tiny", "--run-dir", run)
    assert done.returncode == 0, done.stderr
    yield run


def test_training_lowers_the_loss_of_every_exit(trained: Path) -> None:
    first, last = lines(trained)[0]["losses"], lines(trained)[-1]["losses"]
    assert all(after < before - 0.5 for before, after in zip(first, last, strict=True))
    assert (trained / "loss.png").stat().st_size > 0


def test_an_interrupted_run_resumes_at_the_same_step_with_the_same_losses(
    trained: Path, tmp_path: Path
) -> None:
    # The first half keeps the schedule of the whole: both are within its flat part.
    for steps in ("6", "16"):
        done = command("train", "--preset", "tiny", "--run-dir", tmp_path, "--stop-at", steps)
        assert done.returncode == 0, done.stderr
    assert "resuming at step 6" in done.stdout
    for resumed, straight in zip(lines(tmp_path), lines(trained), strict=True):
        assert resumed["step"] == straight["step"]
        assert resumed["losses"] == pytest.approx(straight["losses"], rel=1e-3)


def test_exported_members_compute_what_was_trained(trained: Path, tmp_path: Path) -> None:
    done = command("export", "--run-dir", trained, "--target", tmp_path)
    assert done.returncode == 0, done.stderr
    differences = [float(line.split()[-1]) for line in done.stdout.splitlines()]
    assert len(differences) == 3
    assert max(differences) < 1e-3
    done = command("evaluate", "--weights", tmp_path, "--examples", "24", "--write-card")
    assert done.returncode == 0, done.stderr
    flat = json.loads(done.stdout.splitlines()[-1])
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert flat["accuracy_cloud"] == written["accuracy"]["cloud"]
    assert flat["agreement_edge"] == written["agreement"]["edge"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--preset", "huge"), "--preset"),
        (("train", "--preset", "tiny", "--hours", "-1"), "--hours"),
        (("evaluate", "--weights", "nowhere"), "nowhere"),
        (("evaluate", "--examples", "0"), "--examples"),
    ],
)
def test_bad_input_gets_one_line_that_names_it(arguments: tuple[str, ...], message: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_run_of_another_preset_is_refused(trained: Path) -> None:
    done = command("train", "--preset", "base", "--run-dir", trained)
    assert done.returncode == 2
    assert "tiny" in done.stderr.splitlines()[-1]


def test_exporting_an_untrained_run_is_refused(tmp_path: Path) -> None:
    done = command("export", "--run-dir", tmp_path)
    assert done.returncode == 2
    assert "checkpoint.pt" in done.stderr.splitlines()[-1]


def test_a_new_model_has_heads_that_see_the_tokens_before() -> None:
    done = python("-c", LOOKING_BACK)
    assert done.returncode == 0, done.stderr
    shares = json.loads(done.stdout)
    assert len(shares) == 3
    assert min(shares) > 0.8
