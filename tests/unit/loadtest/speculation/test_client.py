import pytest

from loadtest.measure.closed_loop import run
from loadtest.measure.processes import Process
from loadtest.speculation import client as client_module
from loadtest.speculation.client import Client, request


@pytest.mark.parametrize(("idle_s", "connections"), [(60.0, 1), (0.0, 3)])
def test_a_connection_is_kept_until_it_has_idled_for_long(
    canned_engine: Process, monkeypatch: pytest.MonkeyPatch, idle_s: float, connections: int
) -> None:
    monkeypatch.setattr(client_module, "IDLE_S", idle_s)
    used = []

    async def ask() -> None:
        async with Client({"engine": canned_engine.target}) as client:
            for _ in range(3):
                assert b"data:" in await client.body("engine", request("canned", "Hello?"))
                used.append(client._connections["engine"])

    run(ask())
    assert len(set(map(id, used))) == connections
