"""Calls every parser with mutated inputs; those that reach new lines are mutated further."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.fuzz.findings import Findings
from tests.fuzz.line_coverage import LineCoverage
from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import Target

TRACED = 4
"""One input of so many is watched for lines that it reaches: watching costs five times the time."""


class ParserFuzzer:
    """A fuzzer of one parser."""

    def __init__(self, target: Target, seed: int, findings: Findings) -> None:
        self._target = target
        self._mutator = Mutator(target.seeds, Random(f"{seed} {target.name}"))
        self._coverage = LineCoverage()
        self._findings = findings
        self._count = 0
        for data in target.seeds:
            self._coverage.new_lines(lambda data=data: self._call(data))  # type: ignore[misc]

    def run(self, inputs: int) -> None:
        """Try so many inputs."""
        for _ in range(inputs):
            data = self._mutator.next()
            self._count += 1
            if self._count % TRACED:
                self._time(data)
            elif self._coverage.new_lines(lambda data=data: self._call(data)):  # type: ignore[misc]
                self._mutator.keep(data)

    def _time(self, data: bytes) -> None:
        started = time.process_time()
        self._call(data)
        if (took := time.process_time() - started) > self._target.slow_s:
            self._findings.crash(self._target.name, f"took {took:.1f} s", data)

    def _call(self, data: bytes) -> None:
        self._findings.inputs[self._target.name] += 1
        try:
            self._target.parser(data)
        except self._target.meant:
            pass
        except Exception as error:
            self._findings.crash(self._target.name, _told(error), data)


def fuzz_parsers(
    targets: Sequence[Target], seconds: float, seed: int, findings: Findings, batch: int = 200
) -> None:
    """All in turn, until the time is over."""
    fuzzers = [ParserFuzzer(target, seed, findings) for target in targets]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for fuzzer in fuzzers:
            fuzzer.run(batch)
            if time.monotonic() >= end:
                return


def _told(error: Exception) -> str:
    """The error, and the innermost place of ours that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {place}: {str(error)[:120]}"
