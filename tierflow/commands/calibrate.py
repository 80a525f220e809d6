"""`tierflow calibrate`"""

from __future__ import annotations

import argparse

from loadtest.calibration.arguments import add_commands, checked
from loadtest.calibration.commands import run as calibrate
from loadtest.measure.command import Progress, run_command
from tierflow.local import gateway_url

EXAMPLES = """\
  tierflow calibrate ask --output predictor.json          # then name it in cascade.predictor
  tierflow calibrate log outcomes.jsonl --output predictor.json --isotonic
  tierflow calibrate measure --quality 0.99"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(parser, url=gateway_url())


def run(arguments: argparse.Namespace) -> int:
    def work(progress: Progress) -> int:
        print(calibrate(checked(arguments), progress))
        return 0

    return run_command("tierflow calibrate", work)
