"""`tierflow preflight`"""

from __future__ import annotations

import argparse

from k8s.preflight.__main__ import inspect_cluster
from k8s.preflight.commandline import add_arguments as add_preflight_arguments
from tierflow.gateway_settings import refusal

EXAMPLES = """\
  tierflow preflight
  tierflow preflight -f values.yaml --namespace tierflow --context staging
  helm template tierflow charts/tierflow | tierflow preflight --manifests /dev/stdin -o json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_preflight_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    return inspect_cluster(arguments, refusal)
