"""`tierflow down`"""

from __future__ import annotations

import argparse

from deploy.local.__main__ import run_command
from deploy.local.commands import down

EXAMPLES = """\
  tierflow down
  TIERFLOW_PORT=9080 tierflow down    # the one whose gateway has this port"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(arguments: argparse.Namespace) -> int:
    return run_command(down)
