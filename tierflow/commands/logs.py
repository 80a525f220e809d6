"""`tierflow logs`"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from deploy.local.instance import Instance
from tierflow.local import folder

EXAMPLES = """\
  tierflow logs                    # the last 20 lines of each part
  tierflow logs gateway -n 200
  tierflow logs edge cloud --follow"""
POLL_S = 0.3
PARTS = ("gateway", "edge", "cloud")
"""Those that every instance has."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    part = parser.add_argument(
        "part", nargs="*", help="gateway, edge, cloud, a device; default: all"
    )
    part.completer = lambda **_: sorted(_files() or PARTS)  # type: ignore[attr-defined]
    parser.add_argument(
        "-n", "--lines", type=int, default=20, help="of each, from its end; default: %(default)s"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    files = _files()
    if not files:
        logs = Instance(folder()).logs
        print(f"tierflow logs: {logs} holds none: run `tierflow up` first", file=sys.stderr)
        return 1
    for name in arguments.part:
        if name not in files:
            known = ", ".join(files)
            print(f"tierflow logs: no part {name!r}; there are {known}", file=sys.stderr)
            return 2
    if arguments.lines < 0:
        print(f"tierflow logs: --lines {arguments.lines}: must be 0 or more", file=sys.stderr)
        return 2
    chosen = {name: files[name] for name in arguments.part or files}
    width = 0 if len(chosen) == 1 else max(map(len, chosen))
    with ExitStack() as stack:
        sources: dict[str, TextIO] = {
            name: stack.enter_context(file.open(errors="replace")) for name, file in chosen.items()
        }
        for name, source in sources.items():
            for line in deque(source, maxlen=arguments.lines):
                _show(name, line, width)
        if arguments.follow:
            _follow(sources, width)
    return 0


def _files() -> dict[str, Path]:
    """The parts' logs, by their names."""
    return {file.stem: file for file in sorted(Instance(folder()).logs.glob("*.log"))}


def _follow(sources: dict[str, TextIO], width: int) -> None:
    while True:
        fresh = [(name, line) for name, source in sources.items() for line in source]
        for name, line in fresh:
            _show(name, line, width)
        sys.stdout.flush()
        if not fresh:
            time.sleep(POLL_S)


def _show(name: str, line: str, width: int) -> None:
    print(f"{name:<{width}}  {line.rstrip()}" if width else line.rstrip())
