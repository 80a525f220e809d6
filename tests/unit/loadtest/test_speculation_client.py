import pytest

from loadtest.measure.loops import run
from loadtest.measure.processes import Running
from loadtest.speculation import asking
from loadtest.speculation.asking import Client, request


@pytest.mark.parametrize(("idle_s", "connections"), [(60.0, 1), (0.0, 3)])
def test_a_connection_is_kept_until_it_has_idled_for_long(
    canned_engine: Running, monkeypatch: pytest.MonkeyPatch, idle_s: float, connections: int
) -> None:
    monkeypatch.setattr(asking, "IDLE_S", idle_s)
    used = []

    async def ask() -> None:
        async with Client({"engine": canned_engine.target}) as client:
            for _ in range(3):
                assert b"data:" in await client.body("engine", request("canned", "Hello?"))
                used.append(client._connections["engine"])

    run(ask())
    assert len(set(map(id, used))) == connections
