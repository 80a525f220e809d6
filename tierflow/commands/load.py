"""`tierflow load`"""

from __future__ import annotations

import argparse

from loadtest.load import load
from loadtest.measure.command import run_command
from loadtest.workload import describe

EXAMPLES = """\
  tierflow load
  TIERFLOW_LOAD_USERS=16 TIERFLOW_LOAD_SECONDS=300 tierflow load
  TIERFLOW_URL=http://gateway.example TIERFLOW_LOAD_MODELS=tierflow-cascade tierflow load"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{parser.epilog}\n\n{describe()}"


def run(arguments: argparse.Namespace) -> int:
    return run_command("tierflow load", load)
