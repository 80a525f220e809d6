import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench.heldout import read_quality
from loadtest.bench.preflight import check_memory, engine_versions
from loadtest.bench.settings import CHECKOUT, FULL, QUICK, read_settings
from loadtest.bench.weights import parameters
from loadtest.measure.failure import BenchmarkFailure


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
    assert read_settings(variables(family)).plan == FULL
    assert read_settings(variables(family, QUICK="0")).plan == FULL
    assert read_settings(variables(family, QUICK="1")).plan == QUICK


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
        read_settings(variables(family) | change)
    assert failure.value.exit_code == 2


def test_the_command_ends_with_one_line_and_code_2() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TIERFLOW_ENGINE_PYTHON"}
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.bench"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("bench: TIERFLOW_ENGINE_PYTHON is not set")
    assert done.stderr.count("\n") == 1


def test_accuracy_and_agreement_are_read_by_tier() -> None:
    line = json.dumps(
        {f"accuracy_{tier}": 0.5 for tier in ("device", "edge", "cloud")}
        | {"agreement_device": 0.8, "agreement_edge": 0.9}
    )
    quality = read_quality(line)
    assert quality.accuracy["edge"] == 0.5
    assert dict(quality.agreement) == {"device": 0.8, "edge": 0.9, "cloud": 1.0}


@pytest.mark.parametrize("line", ["", "no output", '{"accuracy_device": 1}', "[1]"])
def test_figures_that_cannot_be_read_are_refused(line: str) -> None:
    with pytest.raises(BenchmarkFailure, match="evaluate ended with"):
        read_quality(line)


def test_parameters_are_counted_from_the_headers(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]},
        "b": {"dtype": "F32", "shape": [5], "data_offsets": [48, 68]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(68))
    assert parameters(tmp_path) == 17


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailure, match="no safetensors"):
        parameters(tmp_path)


def test_a_python_without_vllm_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho torch 2.13.0\n")
    python.chmod(0o755)
    with pytest.raises(BenchmarkFailure, match="has no vLLM") as failure:
        engine_versions(str(python))
    assert failure.value.exit_code == 2


def test_too_little_memory_is_said_before_anything_is_started() -> None:
    check_memory(3, available_bytes=7 * 2**30)
    with pytest.raises(BenchmarkFailure, match="about 6 GiB of free memory, and 5.0 are free"):
        check_memory(3, available_bytes=5 * 2**30)
