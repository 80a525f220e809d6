"""Fixtures for every test, and the order: unit tests first, those on real engines last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.deployment import Deployment, deploy
from tests.engines import Engines
from tests.reference_verifier.client import Verifier

# How long an example takes says what else the machine does, not whether the code is right. The same
# examples are drawn each time, so that a change fails by what it changed; `make test-properties`
# draws others.
settings.register_profile(
    "tierflow", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("tierflow"), derandomize=False)
settings.load_profile("tierflow")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


UNIT = Path(__file__).parent / "unit"


def engines_of(item: pytest.Item) -> set[str]:
    """The real engines that its marks name."""
    return {name for mark in item.iter_markers("engine") for name in mark.args}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Engines load while tests that need none of them run, and no servers of other tests work
    beside the unit tests."""
    items.sort(key=lambda item: (bool(engines_of(item)), not item.path.is_relative_to(UNIT)))


@pytest.fixture(scope="session", autouse=True)
def engines(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """Those that some test of this run needs load from its beginning."""
    needed = {name for item in request.session.items for name in engines_of(item)}
    with ExitStack() as stack:
        found = Engines(tmp_path_factory.mktemp("engines"), stack)
        with suppress(pytest.skip.Exception):
            found.begin(sorted(needed))
        yield found


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """Clients of the same trust share one TLS context: each would read the system's certificate
    authorities for longer than its requests take."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for package in ("httpx", "httpx2"):
            transport = import_module(f"{package}._transports.default")
            shared = cache(transport.create_ssl_context)
            monkeypatch.setattr(transport, "create_ssl_context", shared)
        yield


@pytest.fixture(
    scope="session",
    params=["simulator", pytest.param("vllm", marks=pytest.mark.engine("edge", "cloud"))],
)
def deployment(
    request: pytest.FixtureRequest, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """A gateway, an edge and a cloud engine, once per kind of engine for the whole run."""
    with ExitStack() as stack:
        yield deploy(request.param, engines, tmp_path_factory.mktemp(request.param), stack)


@pytest.fixture(scope="session")
def racing_engine(engines: Engines) -> Verifier:
    """vLLM that takes drafts."""
    return engines.get("verifier").verifier
