"""What an installation brings into a Python environment, tried as a stranger's would be."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(CHECKOUT)], check=True, timeout=120)
    (found,) = folder.glob("*.whl")
    return found


def test_it_has_one_name_of_its_own(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tierflow"}
    for part in (
        "gateway/adapters/state/redis",
        "deploy/locks/gateway.txt",
        "services/model_family/weights/rill-device",
        "charts/tierflow/Chart.yaml",
    ):
        assert any(name.startswith(f"tierflow/parts/{part}") for name in names), part
    assert not [name for name in names if "__pycache__" in name or name.endswith(".lock")]


def test_an_installed_command_finds_its_parts_and_nobody_else_does(
    wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    run = [sys.executable, "-m", "tierflow"]

    def done(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    shown = done(*run, "settings", "timeouts.idle_s")
    assert shown.returncode == 0 and "timeouts.idle_s = 30" in shown.stdout
    helped = done(*run, "device", "--help")
    assert str(tmp_path / "site" / "tierflow" / "parts") in "".join(helped.stdout.split())
    alone = done(sys.executable, "-c", "import tierflow, services")
    assert "No module named 'services'" in alone.stderr
