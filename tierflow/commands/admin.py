"""`tierflow admin`"""

from __future__ import annotations

import argparse

from gateway.admin.__main__ import report
from gateway.admin.arguments import add_commands
from gateway.admin.commands import run as administer
from tierflow.local import admin_token_file, gateway_url

EXAMPLES = """\
  tierflow admin keys make team-a --model tierflow-auto --tokens-per-day 1000000
  tierflow admin keys list --json
  tierflow admin devices enrol --name phone --ttl-s 600
  tierflow admin devices list --url https://gateway.example --token-file admin.token"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_commands(parser, url=gateway_url(), token_file=admin_token_file())


def run(arguments: argparse.Namespace) -> int:
    return report(lambda: administer(arguments), "tierflow admin")
