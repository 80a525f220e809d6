"""Gateways in front of an engine that takes drafts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.predictions.predicting import Asker, start_asker
from tests.reference_verifier.client import Verifier


@pytest.fixture(scope="package")
def asker(racing_engine: Verifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    with ExitStack() as stack:
        yield start_asker(racing_engine, tmp_path_factory.mktemp("predictions"), stack)


@pytest.fixture(scope="package")
def lookup_asker(
    racing_engine: Verifier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Asker]:
    """Of a gateway that draws drafts out of the prompts."""
    with ExitStack() as stack:
        adaptive = {"from_prompt": "adaptive"}
        folder = tmp_path_factory.mktemp("lookups")
        yield start_asker(racing_engine, folder, stack, predictions=adaptive)
