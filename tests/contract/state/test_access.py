"""Redis with a user of its own, and behind TLS."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

from gateway.adapters.state.redis.connection import Credentials, Target
from gateway.core.state.operations import Advance, Claim, Hold, Means, Observe, Spend
from gateway.errors import StateLost
from tests.certificates import authority, needs_openssl
from tests.contract.state.stores import redis_store
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.servers import CHECKOUT, eventually, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.redis, needs_redis]
ALL = (
    Hold(kind="device", name="phone", holder="one", value=b"v", ttl_s=5.0),
    Advance(kind="collective", name="c", expected=0, value=b"v", ttl_s=5.0),
    Spend(kind="quota", name="caller", amount=1.0, burst=100.0, per_s=1.0),
    Observe(kind="quality", name="phone", value=1.0, weight=1.0, half_life_s=5.0),
    Means("quality", ["phone"]),
    Claim(name="key", digest="body", holder="one", lease_s=5.0, ttl_s=60.0),
)


async def test_the_documented_rights_are_enough_and_reach_nothing_else(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs/state.md").read_text()
    (rights,) = re.findall(r"`(\+@read[^`]+)`", page)
    with redis_server(tmp_path) as server:
        with server.client() as client:
            rules = ["ON", ">word", "~tierflow:*", "&tierflow:*", *rights.split()]
            client.execute_command("ACL", "SETUSER", "gateway", *rules)
        here = Target(
            addresses=[("127.0.0.1", server.port)], credentials=Credentials("gateway", "word")
        )
        store = redis_store(here)
        store.start()
        await store.run(*ALL)
        await store.listen("work", lambda message: None)
        await store.publish("work", b"m")
        assert store.problem() is None
        await store.stop()
        other = redis_store(here, prefix="another")
        with pytest.raises(StateLost, match="NOPERM"):
            await other.run(*ALL)
        await other.stop()


@needs_openssl
async def test_tls_is_spoken_and_each_side_is_checked(tmp_path: Path) -> None:
    known = authority(tmp_path)
    here, gateway = known.issue("redis"), known.issue("gateway")
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", here.certificate]
    options += ["--tls-key-file", here.key, "--tls-ca-cert-file", known.ca]
    with redis_server(tmp_path, *options) as server:
        addresses = [("127.0.0.1", port)]
        store = redis_store(Target(addresses=addresses, tls=known.client(gateway)))
        store.start()
        assert (await store.run(*ALL))[0] is True
        await store.listen("work", lambda message: None)
        await store.stop()
        for other in (ssl.create_default_context(), known.client()):
            stranger = redis_store(Target(addresses=addresses, tls=other), timeout_s=1.0)
            with pytest.raises(StateLost, match="no connection"):
                await stranger.run(*ALL)
            await stranger.stop()
        eventually(lambda: _idle(server), "no connection is left behind")


def _idle(server: RedisServer) -> bool:
    with server.client() as client:
        return len(client.client_list()) == 1
