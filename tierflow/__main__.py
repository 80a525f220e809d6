"""python -m tierflow COMMAND"""

from __future__ import annotations

import sys

from tierflow.command_line import main


def run() -> int:
    """The entry point of the installed command."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
