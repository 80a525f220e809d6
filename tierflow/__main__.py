"""python -m tierflow COMMAND"""

from __future__ import annotations

import sys

from tierflow.command_line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
