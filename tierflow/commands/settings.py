"""`tierflow settings`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.errors import ConfigError
from gateway.protocol.configuration.parser import USAGE
from tierflow.settings_example import as_yaml
from tierflow.settings_report import (
    as_json,
    as_text,
    chosen,
    gateway_rows,
    local_rows,
    names,
)

EXAMPLES = """\
  tierflow settings                              # of `tierflow up` and of the gateway
  tierflow settings timeouts keys                # those whose names begin so
  tierflow settings --config gateway.yaml --changed
  tierflow settings --yaml > gateway.yaml        # an example with every setting explained"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    name = parser.add_argument(
        "name", nargs="*", help="a setting, or the beginning of some; default: all"
    )
    name.completer = lambda **_: names()  # type: ignore[attr-defined]
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's settings file")
    parser.add_argument("--changed", action="store_true", help="those alone that are not default")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--yaml", action="store_true", help="an annotated example of the file")
    form.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    if arguments.yaml and (arguments.name or arguments.config or arguments.changed):
        print(
            "tierflow settings: --yaml is an example of all settings: leave out names, --config "
            "and --changed",
            file=sys.stderr,
        )
        return USAGE
    try:
        if arguments.yaml:
            print(as_yaml(), end="")
            return 0
        rows = [*local_rows(), *gateway_rows(arguments.config)]
        rows = chosen(rows, arguments.name, changed=arguments.changed)
    except ConfigError as problem:
        print(f"tierflow settings: {problem.message}", file=sys.stderr)
        return USAGE
    print(as_json(rows) if arguments.json else as_text(rows))
    return 0
