"""One gateway and one engine for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.devices.device_gateway import gateway_before
from tests.integration.speculating_engine import (
    SpeculatingEngine,
)
from tests.servers import Server, eventually


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SpeculatingEngine, Server]]:
    engine = SpeculatingEngine()
    engine.start()
    with ExitStack() as stack:
        stack.callback(engine.stop)
        folder = tmp_path_factory.mktemp("devices")
        yield engine, stack.enter_context(gateway_before(folder, engine))


@pytest.fixture
def engine(shared: tuple[SpeculatingEngine, Server]) -> Iterator[SpeculatingEngine]:
    """As at the start, and idle before the next test."""
    engine = shared[0]
    yield engine
    engine.breaks_after = engine.refuses = None
    engine.gate.set()
    eventually(lambda: engine.running == 0, "no work is left behind")
    engine.bodies.clear()
    engine.aborted = 0


@pytest.fixture
def gateway(shared: tuple[SpeculatingEngine, Server], engine: SpeculatingEngine) -> Server:
    return shared[1]
