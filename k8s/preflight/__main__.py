"""`python -m k8s.preflight`: the table, and the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from k8s.preflight.cluster.connection import connect
from k8s.preflight.commandline import Options, parse, read
from k8s.preflight.failure import UsageFailure
from k8s.preflight.inspection import inspect
from k8s.preflight.judgements.gateway_settings import SettingsCheck
from k8s.preflight.needs import needs
from k8s.preflight.rendering import looks_up_api_server, read_manifests, render
from k8s.preflight.report import as_json, as_table, exit_code


def main(argv: Sequence[str], settings_check: SettingsCheck | None = None) -> int:
    return report(lambda: parse(argv), settings_check)


def inspect_cluster(arguments: argparse.Namespace, settings_check: SettingsCheck) -> int:
    """The exit code, for what a parser has read."""
    return report(lambda: read(arguments), settings_check)


def report(options_of: Callable[[], Options], settings_check: SettingsCheck | None) -> int:
    try:
        options = options_of()
        manifests = options.manifests
        rendered = read_manifests(manifests) if manifests else render(options.release)
        release_needs = needs(rendered)
        connection = connect(options.kubeconfig, options.context, options.timeout_s)
        findings = inspect(
            connection,
            release_needs,
            options.release.namespace,
            options.timeout_s,
            settings_check=settings_check,
            api_looked_up=not manifests and looks_up_api_server(options.release),
        )
    except UsageFailure as failure:
        print(f"preflight: {failure}", file=sys.stderr)
        return 2
    print(as_json(findings) if options.json else as_table(findings))
    return exit_code(findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
