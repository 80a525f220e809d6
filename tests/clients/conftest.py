"""The servers that clients ask, and the clients, each started once for the cases of a kind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.clients import environments
from tests.clients.clients import CLIENTS, Client
from tests.clients.process import ClientProcess
from tests.clients.servers import Servers, servers
from tests.engines import Engines

ALL = "TIERFLOW_CLIENT_TESTS"
"""Set: every client is asked, not only the quick ones."""


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
        metafunc.parametrize("reached", params, indirect=True, scope="module")
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
        if asked(kind, client)
    ]
    names = ("reached", "client", "case", "place")
    metafunc.parametrize(names, rows, indirect=["reached", "client"], scope="module")


@pytest.fixture(scope="module")
def reached(
    request: pytest.FixtureRequest, engines: Engines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """Of the kind that the parameter names."""
    with servers(request.param, engines, tmp_path_factory.mktemp("servers")) as found:
        yield found


@pytest.fixture(scope="module")
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClientProcess]:
    """The one that the parameter names."""
    named = CLIENTS[request.param]
    if reason := environments.reason_to_skip(named):
        pytest.skip(reason)
    process = ClientProcess(named, tmp_path_factory.mktemp("client"))
    yield process
    process.stop()
