import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench.plan import FULL, QUICK, BenchPlan
from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.settings import CHECKOUT, Settings, read_settings


def read(environ: dict[str, str]) -> Settings[BenchPlan]:
    return read_settings(full=FULL, quick=QUICK, command="make bench", environ=environ)


@pytest.fixture
def family(tmp_path: Path) -> Path:
    for tier in ("device", "edge", "cloud"):
        member = tmp_path / f"rill-{tier}"
        member.mkdir()
        (member / "config.json").write_text("{}")
    return tmp_path


def variables(family: Path, **others: str) -> dict[str, str]:
    return {
        "TIERFLOW_ENGINE_PYTHON": sys.executable,
        "TIERFLOW_BENCH_FAMILY": str(family),
    } | others


def test_quick_is_the_short_plan(family: Path) -> None:
    assert read(variables(family)).plan == FULL
    assert read(variables(family, QUICK="0")).plan == FULL
    assert read(variables(family, QUICK="1")).plan == QUICK


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"QUICK": "yes"}, "QUICK=yes"),
        ({"TIERFLOW_ENGINE_PYTHON": ""}, "TIERFLOW_ENGINE_PYTHON is not set"),
        ({"TIERFLOW_ENGINE_PYTHON": "/no/python"}, "TIERFLOW_ENGINE_PYTHON=/no/python"),
        ({"TIERFLOW_BENCH_FAMILY": "/no/family"}, "/no/family/rill-device/config.json"),
    ],
)
def test_what_is_missing_is_named(family: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(BenchmarkFailure, match=message) as failure:
        read(variables(family) | change)
    assert failure.value.exit_code == 2


def test_a_missing_engine_is_told_with_the_command_that_makes_it() -> None:
    with pytest.raises(BenchmarkFailure, match="`make bench`") as failure:
        read({})
    assert failure.value.exit_code == 2


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("loadtest.bench", "bench"),
        ("loadtest.speculation", "bench-speculation"),
        ("loadtest.collective", "bench-collective"),
        ("loadtest.tiers", "bench-tiers"),
        ("loadtest.rounds", "bench-rounds"),
    ],
)
def test_the_command_ends_with_one_line_and_code_2(module: str, name: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TIERFLOW_ENGINE_PYTHON"}
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name}: TIERFLOW_ENGINE_PYTHON is not set: run `make {name}`")
    assert done.stderr.count("\n") == 1
