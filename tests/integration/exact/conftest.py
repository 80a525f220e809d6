"""The devices, links, gateway and engine that the tests of exactness share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.exact.drafting_fleet import DraftingFleet, open_fleet
from tests.reference_verifier.client import Verifier


@pytest.fixture(scope="package")
def whole_fleet(
    racing_engine: Verifier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DraftingFleet]:
    with ExitStack() as stack:
        yield open_fleet(racing_engine, tmp_path_factory.mktemp("exact"), stack)


@pytest.fixture
def fleet(whole_fleet: DraftingFleet) -> DraftingFleet:
    """With links that do not delay."""
    whole_fleet.link.ask(delay_ms=0, jitter_ms=0, rate_mb_s=0, stall=None)
    return whole_fleet
