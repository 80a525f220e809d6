"""An engine that takes its time, in front of which gateways come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import start_simulator

TOKENS_PER_S = 50


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The gateways' setting."""
    flags = ("--decode-tokens-per-s", str(TOKENS_PER_S), "--batch-slowdown", "0")
    folder = tmp_path_factory.mktemp("engine")
    engine = start_simulator("rill-edge", folder, *flags, "--max-num-seqs", "256")
    try:
        yield {"edge": {"tier": "edge", "endpoints": [engine.url]}}
    finally:
        engine.stop()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, trust_env=False) as client:
        yield client
