"""python -m loadtest.tiers [--only PART …]"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence

from loadtest.measure.command import BenchmarkFailure, Progress, run_command
from loadtest.measure.processes import Processes
from loadtest.measure.results import final_line
from loadtest.measure.settings import Settings, read_settings
from loadtest.tiers.benchmark import TiersBenchmark
from loadtest.tiers.parts import OWN, PARTS, QUICK_PARTS, Figures, final_figures, run_part
from loadtest.tiers.plan import FULL, QUICK, TiersPlan

COMMAND = "make bench-tiers"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.tiers", description=__doc__)
    parser.add_argument(
        "--only",
        choices=(OWN, *PARTS),
        nargs="+",
        help="these parts alone; what others measure is null in the final line",
    )
    return parser.parse_args(argv)


def measure_own(settings: Settings[TiersPlan], progress: Progress) -> Figures:
    """The tiers' own part. Raises BenchmarkFailure."""
    with Processes(settings.logs) as processes:
        line = TiersBenchmark(settings, processes, progress).run(COMMAND)
    figures: Mapping[str, float | None] = json.loads(line)
    return figures


def main() -> int:
    arguments = parse()

    def work(progress: Progress) -> int:
        settings = read_settings(full=FULL, quick=QUICK, command=COMMAND)
        usual = (OWN, *QUICK_PARTS) if settings.plan is QUICK else (OWN, *PARTS)
        chosen = arguments.only or usual
        measured: list[Figures] = []
        exit_code = 0
        for name in (OWN, *PARTS):
            if name in chosen:
                try:
                    figures = (
                        measure_own(settings, progress) if name == OWN else run_part(name, progress)
                    )
                except BenchmarkFailure as failure:
                    # What the others measure is worth its minutes all the same.
                    progress(f"without {name}: {failure}")
                    exit_code = failure.exit_code
                else:
                    measured.append(figures)
        print(final_line(final_figures(measured)))
        return exit_code

    return run_command("bench-tiers", work)


if __name__ == "__main__":
    sys.exit(main())
