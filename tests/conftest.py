"""Fixtures for every test. Engines and gateway start when the first test asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.deployment import Deployment, deploy
from tests.reference_verifier.client import Verifier
from tests.reference_verifier.servers import start_verifier

# How long an example takes says what else the machine does, not whether the code is right.
settings.register_profile("tierflow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tierflow")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(
    scope="session", params=["simulator", pytest.param("vllm", marks=pytest.mark.engine)]
)
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A gateway, an edge and a cloud engine, once per kind of engine for the whole run."""
    with ExitStack() as stack:
        yield deploy(request.param, tmp_path_factory.mktemp(request.param), stack)


@pytest.fixture(scope="session")
def racing_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verifier]:
    """vLLM that takes drafts, once for the whole run."""
    with ExitStack() as stack:
        yield start_verifier("engine", tmp_path_factory.mktemp("racing"), stack)
