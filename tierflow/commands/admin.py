"""`tierflow admin`"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gateway.admin.__main__ import report
from gateway.admin.arguments import TOKEN_VARIABLE, add_commands
from gateway.admin.commands import run as administer
from gateway.admin.problems import BadInput
from tierflow.local import admin_token_file, folder, gateway_url, is_of_instance

EXAMPLES = """\
  tierflow admin keys make team-a --model tierflow-auto --tokens-per-day 1000000
  tierflow admin keys list --json
  tierflow admin devices enrol --name phone --ttl-s 600
  tierflow admin devices list --url https://gateway.example --token-file admin.token"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    token = f"{TOKEN_VARIABLE}, or the token of this machine's instance for its own gateway"
    add_commands(parser, url=gateway_url(), token=token)


def run(arguments: argparse.Namespace) -> int:
    def work() -> None:
        if not arguments.token_file and not os.environ.get(TOKEN_VARIABLE, "").strip():
            arguments.token_file = _own_token(arguments.url)
        administer(arguments)

    return report(work, "tierflow admin")


def _own_token(url: str) -> Path | None:
    """The operator's token of this machine's instance, where it is the one that is asked: nobody
    else is shown it. Raises BadInput where it is asked and has never been up."""
    if not is_of_instance(url):
        return None
    if (file := admin_token_file()) is None:
        raise BadInput(
            f"nothing has been up at {url} ({folder()} holds no operator's token): run "
            "`tierflow up` first, or give --url and --token-file"
        )
    return file
