"""`python -m tests.fuzz --minutes 5`: fuzz everything; the last line is the outcome as JSON.

Exit code 1 where something was found.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.fuzz.findings import Findings
from tests.fuzz.parsers import fuzz_parsers
from tests.fuzz.targets import targets


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the inputs")
    arguments = parser.parse_args(argv)
    findings, seconds = Findings(), 60.0 * arguments.minutes
    print(f"seed {arguments.seed}", flush=True)
    fuzz_parsers(targets(), seconds, arguments.seed, findings)
    print(findings.text())
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
