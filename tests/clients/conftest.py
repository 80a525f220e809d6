"""The servers that clients ask, and the clients, each started once for the cases of a kind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.clients import environments
from tests.clients.clients import ALL, CLIENTS, Client
from tests.clients.process import ClientProcess
from tests.clients.servers import Servers, servers
from tests.engines import Engines


def asked(kind: str, client: Client) -> bool:
    """Whether this run asks the client at engines of this kind."""
    if not os.environ.get(ALL):
        return client.quick and kind == "simulator"
    return client.simulated or kind == "vllm"


def kinds() -> Iterator[tuple[str, list[pytest.MarkDecorator]]]:
    """Of engines, with the marks of the tests at them."""
    if os.environ.get(ALL):
        yield "vllm", [pytest.mark.engine("cloud")]
    yield "simulator", []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "reached" not in metafunc.fixturenames:
        return
    if "client" not in metafunc.fixturenames:
        params = [pytest.param(kind, marks=marks) for kind, marks in kinds()]
        metafunc.parametrize("reached", params, indirect=True)
        return
    rows = [
        pytest.param(
            *(kind, client.title, case, place),
            id=f"{kind}-{client.title}-{case}-{place}".replace(",", "").replace(" ", "-"),
            marks=marks,
        )
        for kind, marks in kinds()
        for client in CLIENTS.values()
        for case in client.cases
        for place in ("gateway", "device agent")
        if asked(kind, client) and not (kind == "vllm" and case in client.simulated_only)
    ]
    names = ("reached", "client", "case", "place")
    metafunc.parametrize(names, rows, indirect=["reached", "client"])


@pytest.fixture(scope="module")
def deployed() -> Iterator[tuple[dict[str, Servers], ExitStack]]:
    """The servers that some test has asked so far, by the kind of engine, and what stops them."""
    with ExitStack() as stack:
        yield {}, stack


@pytest.fixture
def reached(
    request: pytest.FixtureRequest,
    deployed: tuple[dict[str, Servers], ExitStack],
    engines: Engines,
    tmp_path_factory: pytest.TempPathFactory,
) -> Servers:
    """Of the kind that the parameter names."""
    found, stack = deployed
    kind: str = request.param
    if kind not in found:
        folder = tmp_path_factory.mktemp(kind)
        found[kind] = stack.enter_context(servers(kind, engines, folder))
    return found[kind]


@pytest.fixture(scope="module")
def started() -> Iterator[dict[str, ClientProcess]]:
    """The client that was asked last, by its title: one at a time, as some are large."""
    found: dict[str, ClientProcess] = {}
    yield found
    for process in found.values():
        process.stop()


@pytest.fixture
def client(
    request: pytest.FixtureRequest,
    started: dict[str, ClientProcess],
    tmp_path_factory: pytest.TempPathFactory,
) -> ClientProcess:
    """The one that the parameter names."""
    named = CLIENTS[request.param]
    if reason := environments.reason_to_skip(named):
        pytest.skip(reason)
    if named.title not in started:
        for title in list(started):
            started.pop(title).stop()
        started[named.title] = ClientProcess(named, tmp_path_factory.mktemp("client"))
    return started[named.title]
