"""`python -m tests.clients`: make the clients' environments, ask by all of them, show what came."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from deploy.local.environments import EnvironmentFailure
from tests.clients import environments
from tests.clients.clients import ALL, CLIENTS
from tests.clients.report import Report


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    install_s: dict[str, float] = {}
    for client in CLIENTS.values():
        begun = time.monotonic()
        try:
            environments.make(client)
        except EnvironmentFailure as failure:
            print(f"test-clients: {client.title}: {failure}", file=sys.stderr)
            return 1
        install_s[client.title] = round(time.monotonic() - begun, 1)
    os.environ[ALL] = "1"
    report = Report()
    code = pytest.main(["-v", str(Path(__file__).parent), *arguments], plugins=[report])
    print(f"\n{report.table()}\n{report.summary(time.monotonic() - started, install_s)}")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
