"""A reader who copies a page's commands into a shell, one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.documents.blocks import CHECKOUT, BrokenExample, Example
from tests.documents.make_lines import MAKE_VARIABLES
from tests.documents.outputs import CUT, compared

PATIENCE_S = 60
_EXPORT = re.compile(r"export (\w+)=" + CUT + r".*")
_ENROLMENT = re.compile(r"\btfe_[\w-]+")
_OURS = re.compile(
    r"\w*TIERFLOW|MAKE|MFLAGS|PYTEST|PYTHONDONT|(?:" + "|".join(MAKE_VARIABLES) + ")$"
)
OF_THE_CHECKOUT = {
    "tierflow": f'exec {sys.executable} -m tierflow "$@"',
    "python": f'exec {sys.executable} "$@"',
}
_LEFT_OUT = re.compile(r"\b([A-Z_]+)=" + CUT)


@dataclass
class Reader:
    """`addresses`: whom the page's addresses stand for here. `values`: what a reader fills in, by
    what the page has in its place; what commands print is added to them. `variables`: those of the
    shell. `simulated`: no model says what the page shows of answers. `programs`: more of the
    reader's own, each a script, by name. `patience_s`: for each command."""

    folder: Path
    addresses: dict[str, str]
    values: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    simulated: bool = True
    programs: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = PATIENCE_S

    def run(self, example: Example) -> str:
        """What it prints. Raises BrokenExample where it fails, prints an error, or prints what is
        not as the page shows it."""
        if (exported := _EXPORT.fullmatch(example.text)) and exported[1] in self.variables:
            return ""
        printed = self._printed(example)
        if '"error"' in printed:
            raise BrokenExample(f"{example}: {printed}")
        if example.shown:
            only_labels = self.simulated and example.in_python
            self.values |= compared(example.shown, printed, only_labels)
        if token := _ENROLMENT.search(printed):
            self.variables["TIERFLOW_ENROLMENT_TOKEN"] = token[0]
        return printed

    def _printed(self, example: Example) -> str:
        text = self.filled_in(example.text)
        if example.in_python:
            command = ["python", "-c", text]
        else:
            command = ["bash", "-c", re.sub(r"\bcurl\b", "curl -sS --fail-with-body", text)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=self.patience_s,
        )
        if done.returncode:
            raise BrokenExample(f"{example}: {done.stdout}{done.stderr}")
        return done.stdout

    def filled_in(self, text: str) -> str:
        """What the reader types for it."""
        text = _LEFT_OUT.sub(lambda name: f"{name[1]}=${name[1]}", text)
        here = {**self.addresses, **self.values}
        if here:
            longest_first = sorted(here, key=len, reverse=True)
            text = re.sub(
                "|".join(map(re.escape, longest_first)), lambda found: here[found[0]], text
            )
        if CUT in text:
            raise BrokenExample(f"nobody has said what stands for {CUT} in {text}")
        return text

    def environment(self) -> dict[str, str]:
        """Its own home, and a `tierflow` and `python` that are this checkout's. Nothing of what a
        `make` above has set for its own recipes."""
        programs = self.folder / "programs"
        programs.mkdir(exist_ok=True)
        for name, script in {**OF_THE_CHECKOUT, **self.programs}.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        return {
            **{name: value for name, value in os.environ.items() if not _OURS.match(name)},
            "HOME": str(self.folder),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "no_proxy": "*",
            **self.variables,
        }
