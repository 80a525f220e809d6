"""python -m gateway.admin {devices,keys} COMMAND"""

from __future__ import annotations

import sys
from collections.abc import Callable

from gateway.admin.arguments import parse
from gateway.admin.commands import run
from gateway.admin.problems import BadInput, CommandRefused


def main() -> int:
    return report(lambda: run(parse(sys.argv[1:])))


def report(work: Callable[[], None], name: str = "gateway.admin") -> int:
    """0, 2 for bad input, 1 for what the gateway refused or could not be asked. `name` begins the
    line that says so."""
    try:
        work()
    except BadInput as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return 2
    except CommandRefused as problem:
        print(f"{name}: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
