"""`python -m deploy.local up|down`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from deploy.local.commands import CommandFailure, down, up
from deploy.local.settings import Settings, read_settings
from deploy.local.variables import SettingError, describe
from gateway.protocol.configuration.parser import Parser


def main(argv: list[str]) -> int:
    """Exit code: 0 stopped as asked, 1 could not do it, 2 a setting is wrong."""
    parser = Parser(
        prog="python -m deploy.local",
        description="Run an edge pool, a cloud pool and the gateway on this machine.",
        epilog=describe(),
    )
    parser.add_argument("command", choices=("up", "down"))
    return run_command({"up": up, "down": down}[parser.parse_args(argv).command])


def run_command(command: Callable[[Settings], None]) -> int:
    """Run it with the settings of the environment; gives the exit code."""
    try:
        command(read_settings())
    except SettingError as error:
        print(f"tierflow: {error}", file=sys.stderr)
        return 2
    except CommandFailure as failure:
        for line in failure.details:
            print(f"  {line}", file=sys.stderr)
        print(f"tierflow: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
