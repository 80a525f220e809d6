"""The command line of the preflight."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.protocol.configuration.parser import Parser
from k8s.preflight.failure import UsageFailure
from k8s.preflight.rendering import Release
from k8s.preflight.settings import Setting, in_order

CHART = Path(__file__).resolve().parents[2] / "charts" / "tierflow"
SETTINGS = {
    "set": "values as for helm install, as in --set gateway.replicas=2",
    "set-string": "the same, whose value is a text whatever it looks like",
    "set-file": "the same, whose value is a file's content (NAME=FILE)",
    "set-json": "the same, whose value is JSON",
    "set-literal": "the same, whose value is taken as it stands",
}
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LONGEST_S = 3600.0
"""Nobody waits longer for one answer, and sockets take no infinite time."""


@dataclass(frozen=True, kw_only=True)
class Options:
    release: Release
    manifests: Path | None
    kubeconfig: Path | None
    context: str | None
    timeout_s: float
    json: bool


def parse(argv: Sequence[str]) -> Options:
    """The parser exits with code 2 for what it can't read. Raises UsageFailure."""
    parser = Parser(
        prog="python -m k8s.preflight",
        description="Check a cluster before the install. Nothing is created in it.",
        epilog="Exit code: 0 nothing is missing, 1 something is, 2 the command line or the "
        "kubeconfig can't be used.",
    )
    add_arguments(parser)
    return read(parser.parse_args(argv))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What a parser takes for it."""
    add = parser.add_argument
    add("--values", "-f", action="append", default=[], metavar="FILE",
        help="values as for helm install; later ones win")  # fmt: skip
    for flag, meaning in SETTINGS.items():
        add(f"--{flag}", action="append", default=[], metavar="NAME=VALUE", help=meaning)
    add("--manifests", type=Path, metavar="FILE",
        help="judge what `helm template` wrote here, instead of rendering a chart")  # fmt: skip
    add(
        "--chart",
        type=Path,
        default=CHART,
        help="a folder or a .tgz; default: charts/tierflow of this checkout",
    )
    add("--release", default="tierflow", help="the release's name (default: tierflow)")
    add("--namespace", "-n", default="tierflow", help="where to install (default: tierflow)")
    add("--context", help="of the kubeconfig; default: its current one")
    add("--kubeconfig", type=Path, metavar="FILE", help="default: KUBECONFIG, ~/.kube/config")
    add("--timeout", type=float, default=5.0, metavar="SECONDS",
        help="for each request (default: 5)")  # fmt: skip
    add("--output", "-o", choices=("table", "json"), default="table")


def read(arguments: argparse.Namespace) -> Options:
    """Raises UsageFailure."""
    values = tuple(Path(name) for names in arguments.values for name in names.split(","))
    settings = in_order(
        Setting(flag, expression)
        for flag in SETTINGS
        for expression in getattr(arguments, flag.replace("-", "_"))
    )
    if not NAMESPACE.fullmatch(arguments.namespace):
        raise UsageFailure(
            f"--namespace {arguments.namespace!r}: must be lower-case letters, digits and hyphens, "
            "63 at most, with a letter or digit at both ends"
        )
    if not 0 < arguments.timeout <= LONGEST_S:
        raise UsageFailure(
            f"--timeout {arguments.timeout:g}: must be above 0 and at most {LONGEST_S:g} seconds"
        )
    if arguments.manifests and (values or settings):
        given = "--values" if values else f"--{settings[0].flag}"
        raise UsageFailure(f"--manifests and {given} exclude each other: the one is rendered")
    return Options(
        release=Release(
            chart=arguments.chart,
            name=arguments.release,
            namespace=arguments.namespace,
            values=values,
            settings=settings,
        ),
        manifests=arguments.manifests,
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        timeout_s=arguments.timeout,
        json=arguments.output == "json",
    )
