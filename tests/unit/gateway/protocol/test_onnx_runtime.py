"""ONNX Runtime is told to report nothing before it is loaded, whoever loads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
HERE = Path("gateway/protocol/onnx_runtime.py")
DIRECTLY = re.compile(r"^\s*(?:import|from) onnxruntime\b", re.MULTILINE)

LOAD = """
from pathlib import Path
from services.device_agent.drafters.onnx import OnnxDrafter
OnnxDrafter(next(Path("services/model_family/weights/rill-device").glob("*.onnx")), 64)
"""


def test_a_drafter_leaves_no_id_of_the_machine_and_no_report(tmp_path: Path) -> None:
    # Its makers' switch for their own tests, and that for continuous integration, are off.
    environment = {name: os.environ[name] for name in ("PATH",)} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, env=environment, check=True)
    assert not [*tmp_path.rglob("*")]


def test_every_part_imports_it_by_one_file() -> None:
    folders = ("gateway", "services", "loadtest", "tierflow", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    found = [file.relative_to(ROOT) for file in files if DIRECTLY.search(file.read_text())]
    assert found == [HERE]
