"""A device agent before a gateway with engines, for all who only ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.agent import World, world
from tests.servers import eventually


@pytest.fixture(scope="package")
def all_of_it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("agent")) as made:
        yield made


@pytest.fixture
def here(all_of_it: World) -> Iterator[World]:
    """Idle before and after."""
    yield all_of_it
    all_of_it.engine.gate.set()
    eventually(lambda: all_of_it.engine.running == 0, "no work is left behind")
    all_of_it.engine.bodies.clear()
    all_of_it.engine.refuses, all_of_it.engine.refused_field = None, ""
