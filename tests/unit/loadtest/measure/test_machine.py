from pathlib import Path

import pytest

from loadtest.measure.command import BenchmarkFailure
from loadtest.measure.machine import check_cores, check_memory, engine_versions


def test_a_python_without_vllm_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho torch 2.13.0\n")
    python.chmod(0o755)
    with pytest.raises(BenchmarkFailure, match="has no vLLM") as failure:
        engine_versions(str(python), "make bench")
    assert failure.value.exit_code == 2


def test_too_little_memory_is_reported_before_anything_is_started() -> None:
    check_memory(3, available_bytes=7 * 2**30)
    with pytest.raises(BenchmarkFailure, match="about 6 GiB of free memory, and 5.0 GiB are free"):
        check_memory(3, available_bytes=5 * 2**30)


def test_one_core_is_refused_where_two_are_needed() -> None:
    with pytest.raises(BenchmarkFailure, match="2 cores are needed") as failure:
        check_cores({3}, 2)
    assert failure.value.exit_code == 2
    check_cores({0, 3}, 2)
    check_cores({3}, 1)
