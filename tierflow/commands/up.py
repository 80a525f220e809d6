"""`tierflow up`"""

from __future__ import annotations

import argparse

from deploy.local.__main__ import run_command
from deploy.local.commands import up
from deploy.local.variables import describe

EXAMPLES = """\
  tierflow up
  TIERFLOW_ENGINE=simulator tierflow up               # no model is run
  TIERFLOW_PORT=9080 TIERFLOW_EDGE_PORT=9101 TIERFLOW_CLOUD_PORT=9102 \\
    TIERFLOW_EDGE_DRAFT_PORT=9111 TIERFLOW_CLOUD_DRAFT_PORT=9112 tierflow up    # a second one
  TIERFLOW_EDGE_MODEL=Qwen/Qwen3-0.6B TIERFLOW_CLOUD_MODEL=Qwen/Qwen3-4B tierflow up"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"{parser.epilog}\n\n{describe()}"


def run(arguments: argparse.Namespace) -> int:
    return run_command(up)
