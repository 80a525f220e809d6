"""Runs each command that it reads in a fork of itself, with what they all import already there.

    python -m tests.unit.services.model_family.forked_commands

Importing torch and transformers is most of what a short command costs. A line of input is a JSON
object: `arguments` as for Python (`-m MODULE ...` or `-c CODE`), the files `output` and `errors`
for what the command prints, and `seconds` until it is killed. A line of output is its exit code,
below 0 the signal that ended it.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from typing import Any

IMPORTED = (
    "services.model_family.command_line",
    "services.model_family.evaluation.family",
    "services.model_family.evaluation.plots",
    "services.model_family.export.fine_tuned",
    "services.model_family.export.onnx_graph",
    "services.model_family.training.fine_tuning",
    "services.model_family.training.trainer",
)


def main() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    while line := sys.stdin.readline():
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            # What it prints goes out here, as the end of the process is not that of Python.
            code = _run(command)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(command: dict[str, Any]) -> int:
    signal.alarm(command["seconds"])
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, command["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, command["errors"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        file = os.open(path, flags, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    how, what, *more = command["arguments"]
    sys.argv = [how, *more]
    try:
        if how == "-c":
            exec(what, {"__name__": "__main__"})
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
