"""Commands of the model family, run by the engine environment's Python."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache, partial
from pathlib import Path
from signal import SIGTERM

from deploy.local.processes import die_with_parent
from tests.engines import engine_python
from tests.servers import CHECKOUT

PATIENCE_S = 300
FORKS = "tests.unit.services.model_family.forked_commands"


@cache
def _forks() -> subprocess.Popen[str]:
    """With one thread: several would wait for one another where tests share the cores."""
    process = subprocess.Popen(
        [engine_python(), "-m", FORKS],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=partial(die_with_parent, SIGTERM),
    )
    # It ends when its input does.
    atexit.register(process.communicate)
    return process


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`-m MODULE ...` or `-c CODE`, in a process of its own."""
    given = list(map(str, arguments))
    forks = _forks()
    assert forks.stdin is not None and forks.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        command = {"arguments": given, "output": str(output), "errors": str(errors)}
        forks.stdin.write(json.dumps({**command, "seconds": PATIENCE_S}) + "\n")
        forks.stdin.flush()
        code = int(forks.stdout.readline())
        return subprocess.CompletedProcess(given, code, output.read_text(), errors.read_text())


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "services.model_family", *arguments)


@cache
def tiny_models() -> Path:
    """The folder of `tests.tiny_models`, made once for all tests of a run."""
    folder = Path(tempfile.mkdtemp(prefix="tierflow-tiny-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    python("-m", "tests.tiny_models", folder).check_returncode()
    return folder
