"""An engine's image gets torch's CPU build where pip finds it, else the default build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.images.locked import locked_packages
from deploy.images.torch_build import torch_entries

SIX = f"six==1.17.0 --hash=sha256:{64 * '0'}"
LOCK = f"torch==2.0+cpu --hash=sha256:{64 * '1'}\n{SIX}\n"
DEFAULT = f"torch==2.0 --hash=sha256:{64 * '2'}\nnvidia-x==1 --hash=sha256:{64 * '3'}\n"
ROOT = Path(__file__).parents[4]


@pytest.fixture
def locks(tmp_path: Path) -> tuple[Path, Path]:
    lock, default = tmp_path / "engine.txt", tmp_path / "default-torch.txt"
    lock.write_text(LOCK)
    default.write_text(DEFAULT)
    return lock, default


def python_whose_pip(folder: Path, code: int) -> str:
    """A Python whose pip ends with this code, and keeps the requirements that it was given."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\ncp "$last" {folder}/asked\nexit {code}\n')
    program.chmod(0o755)
    return str(program)


def pins(entries: list[str]) -> list[str]:
    return [package.pin for package in locked_packages("\n".join(entries))]


def test_the_cpu_build_is_taken_where_pip_finds_it(
    locks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = torch_entries(*locks, python_whose_pip(tmp_path, 0))
    assert pins(entries) == ["torch==2.0+cpu", "six==1.17.0"]
    assert pins([(tmp_path / "asked").read_text()]) == ["torch==2.0+cpu"]
    assert capsys.readouterr().err == ""


def test_elsewhere_the_default_build_is_taken_and_one_line_says_what_that_costs(
    locks: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = torch_entries(*locks, python_whose_pip(tmp_path, 1))
    assert pins(entries) == ["six==1.17.0", "torch==2.0", "nvidia-x==1"]
    [line] = capsys.readouterr().err.splitlines()
    assert "torch==2.0+cpu" in line and "2.4 GB more to download and 3.1 GB more of disk" in line


def test_a_lock_without_torch_stays_as_it_is(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"{SIX}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.images.torch_build", str(lock), str(tmp_path / "none")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert pins([ended.stdout]) == ["six==1.17.0"]
