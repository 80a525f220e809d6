"""python -m tierflow COMMAND"""

from __future__ import annotations

import sys

from tierflow.parts import use_parts


def run() -> int:
    """The entry point of the installed command."""
    use_parts()
    from tierflow.command_line import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
