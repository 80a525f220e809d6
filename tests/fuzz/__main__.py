"""`python -m tests.fuzz --minutes 5`: fuzz everything; the last line is the outcome as JSON.

Exit code 1 where something was found.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.fuzz.callers import fuzz_callers
from tests.fuzz.described import fuzz_described, note_undescribed
from tests.fuzz.findings import Findings
from tests.fuzz.parsers import fuzz_parsers
from tests.fuzz.rig import Rig, start_rig
from tests.fuzz.sockets import fuzz_devices, fuzz_http
from tests.fuzz.targets import targets

SHARES = {"parsers": 0.35, "described": 0.3, "http": 0.15, "devices": 0.1, "callers": 0.1}
"""Of the time. Parsers get by far the most inputs in theirs."""


def fuzz_gateway(rig: Rig, seconds: float, seed: int, findings: Findings) -> None:
    """Everything that needs a real gateway; at the end, what its log complains of."""
    for name, fuzz in (
        ("described", fuzz_described),
        ("http", fuzz_http),
        ("devices", fuzz_devices),
        ("callers", fuzz_callers),
    ):
        fuzz(rig, seconds * SHARES[name] / (1 - SHARES["parsers"]), seed, findings)
    note_undescribed(rig, findings)
    if not rig.alive():
        findings.crash("the gateway", "does not answer /health any more", b"")
    for line in rig.complaints():
        findings.crash("the gateway's log", line[:500], b"")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the inputs")
    arguments = parser.parse_args(argv)
    findings, seconds = Findings(), 60.0 * arguments.minutes
    print(f"seed {arguments.seed}", flush=True)
    fuzz_parsers(targets(), seconds * SHARES["parsers"], arguments.seed, findings)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rig = start_rig(folder, stack)
        fuzz_gateway(rig, seconds * (1 - SHARES["parsers"]), arguments.seed, findings)
    print(findings.text())
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
