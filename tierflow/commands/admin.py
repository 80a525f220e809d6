"""`tierflow admin`"""

from __future__ import annotations

import argparse
import os

from gateway.admin.__main__ import report
from gateway.admin.arguments import TOKEN_VARIABLE, add_commands
from gateway.admin.commands import run as administer
from gateway.admin.problems import BadInput
from tierflow.local import admin_token_file, folder, gateway_url

EXAMPLES = """\
  tierflow admin keys make team-a --model tierflow-auto --tokens-per-day 1000000
  tierflow admin keys list --json
  tierflow admin devices enrol --name phone --ttl-s 600
  tierflow admin devices list --url https://gateway.example --token-file admin.token"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(parser, url=gateway_url(), token_file=admin_token_file())


def run(arguments: argparse.Namespace) -> int:
    def work() -> None:
        _check_up(arguments)
        administer(arguments)

    return report(work, "tierflow admin")


def _check_up(arguments: argparse.Namespace) -> None:
    """Raises BadInput where this machine's instance is asked, and there has never been one."""
    given = arguments.token_file or os.environ.get(TOKEN_VARIABLE, "").strip()
    if not given and arguments.url == gateway_url():
        raise BadInput(
            f"nothing has been up at {gateway_url()} ({folder()} holds no operator's token): run "
            "`tierflow up` first, or give --url and --token-file"
        )
