"""`python -m tests.integration.clients`: install the official JavaScript client, and ask by it and
by the Python one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.clients import javascript


def main() -> int:
    try:
        javascript.install()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"test-clients: npm can't install the client: {error}", file=sys.stderr)
        return 1
    return pytest.main(["-v", str(javascript.HERE), *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
