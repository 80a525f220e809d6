"""The part of a lock that an image installs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.images.build import ROOT
from deploy.images.locked import locked_packages

A, B = "a" * 64, "b" * 64
LOCK = f"""\
# What a clean environment holds.
ast_serialize==0.13.1 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
intel-openmp==2024.2.1; platform_machine == "x86_64" \\
    --hash=sha256:{A}
numpy==2.4.6 \\
    --hash=sha256:{B}
"""


def printed(folder: Path, *words: str) -> str:
    """What the command prints about the lock."""
    (folder / "lock.txt").write_text(LOCK)
    command = [sys.executable, str(ROOT / "deploy/images/locked.py"), "lock.txt", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def report(folder: Path, *names: str) -> str:
    file = folder / f"{'-'.join(names)}.json"
    file.write_text(json.dumps({"install": [{"metadata": {"name": name}} for name in names]}))
    return file.name


def test_every_entry_is_read_and_written_as_it_stands() -> None:
    packages = locked_packages(LOCK)
    assert "\n".join(package.entry for package in packages) in LOCK
    assert packages[1].marker == 'platform_machine == "x86_64"'


def test_pins_constrain_without_hashes(tmp_path: Path) -> None:
    assert printed(tmp_path, "pins").splitlines() == [
        "ast_serialize==0.13.1",
        'intel-openmp==2024.2.1; platform_machine == "x86_64"',
        "numpy==2.4.6",
    ]


def test_what_pip_would_install_is_chosen_with_its_hashes(tmp_path: Path) -> None:
    reports = report(tmp_path, "ast-serialize"), report(tmp_path, "NumPy")
    chosen = locked_packages(printed(tmp_path, "chosen", *reports))
    assert [(package.name, package.hashes) for package in chosen] == [
        ("ast_serialize", (A, B)),
        ("numpy", (B,)),
    ]


def test_what_is_not_in_the_lock_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        printed(tmp_path, "chosen", report(tmp_path, "stranger"))
    assert "not in the lock: stranger" in failed.value.stderr


def test_what_an_image_does_not_need_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "left_out.txt").write_text("numpy\nintel-openmp\n")
    left = locked_packages(printed(tmp_path, "without", "left_out.txt"))
    assert [package.name for package in left] == ["ast_serialize"]


def test_a_line_that_is_no_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="numpy @ file"):
        locked_packages("numpy @ file:///numpy.whl\n")
