"""Where the shared state is, as settings say it, and what they may not say."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gateway.adapters.clock import MonotonicClock
from gateway.adapters.state.redis.connection import Target
from gateway.core.state.operations import Read
from gateway.errors import ConfigError, StateLost
from gateway.settings import Settings
from gateway.wiring.state import SharedState, target
from gateway.wiring.tls import TlsEnds

POOLS = {"edge": {"tier": "edge", "endpoints": ["http://127.0.0.1:1"]}}


def load(folder: Path, **state: Any) -> Settings:
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump({"pools": POOLS, "state": state}))
    return Settings.load(file)


def target_of(folder: Path, **redis: Any) -> Target:
    found = load(folder, redis=redis).state.redis
    assert found is not None
    return target(found)


def test_a_url_says_all(tmp_path: Path) -> None:
    found = target_of(tmp_path, url="rediss://me:p%40ss@redis.example:6380/3")
    assert found.addresses == [("redis.example", 6380)]
    assert (found.database, found.cluster, found.master) == (3, False, "")
    assert (found.credentials.username, found.credentials.password) == ("me", "p@ss")
    assert "p@ss" not in repr(found) + str(found)


def test_tls_is_on_where_the_url_or_the_settings_say_so(tmp_path: Path) -> None:
    def ends(**redis: Any) -> TlsEnds:
        return TlsEnds(load(tmp_path, redis=redis))

    assert ends(url="rediss://redis.example").redis is not None
    assert ends(url="redis://redis.example", tls={"enabled": True}).redis is not None
    assert ends(url="redis://redis.example").redis is None
    with pytest.raises(ConfigError, match=r"state\.redis\.tls\.ca: /nowhere: No such file"):
        ends(url="rediss://redis.example", tls={"ca": "/nowhere"})


def test_sentinels_stand_in_for_it(tmp_path: Path) -> None:
    found = target_of(
        tmp_path,
        sentinels=["a:26379", "[::1]:26380"],
        master="m",
        password="word",
        sentinel_password="other",
    )
    assert found.addresses == [("a", 26379), ("::1", 26380)]
    assert found.master == "m" and found.tls is None
    assert found.credentials.password == "word"
    assert found.sentinel_credentials.password == "other"
    assert str(found) == "m by a:26379, ::1:26380"


def test_a_cluster_is_found_by_any_of_its_nodes(tmp_path: Path) -> None:
    found = target_of(tmp_path, url="redis://a", cluster=True, nodes=["b:7000"])
    assert found.cluster and found.addresses == [("a", 6379), ("b", 7000)]


@pytest.mark.parametrize(
    ("redis", "words"),
    [
        ({}, "url: set the server's URL"),
        ({"url": "http://a"}, "not redis://"),
        ({"url": "redis://:hunter2@a/x"}, "not redis://"),
        ({"url": "redis://a?db=1"}, "not redis://"),
        ({"url": "redis://a:port"}, "not redis://"),
        ({"sentinels": ["a:1"]}, "master: set the name"),
        ({"master": "m"}, "sentinels: list"),
        ({"sentinels": ["a"], "master": "m"}, "'a' is not host:port"),
        (
            {"sentinels": ["a:1"], "master": "m", "url": "redis://a"},
            "sentinels: leave `url`",
        ),
        ({"url": "redis://a/1", "cluster": True}, "a cluster has no databases"),
        ({"url": "redis://a", "nodes": ["b:1"]}, "nodes: set `cluster: true` too"),
        ({"url": "redis://a", "tls": {"key": "k"}}, "certificate, key: give both"),
    ],
)
def test_what_can_not_work_is_refused_and_no_secret_is_shown(
    redis: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, redis=redis)
    assert words in refused.value.message and "state.redis" in refused.value.message
    assert "hunter2" not in refused.value.message


def test_the_url_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERFLOW_GATEWAY_STATE__REDIS__URL", "redis://:hunter2@a:1")
    settings = load(tmp_path, when_lost="closed")
    assert settings.state.redis is not None and settings.state.when_lost == "closed"
    assert "hunter2" not in repr(settings)


def test_several_replicas_without_redis_are_told_so(tmp_path: Path) -> None:
    def conditions(**state: Any) -> dict[str, str]:
        settings = load(tmp_path, **state)
        return SharedState(
            settings=settings, registry=CollectorRegistry(), clock=MonotonicClock()
        ).conditions()

    assert conditions() == {}
    assert "up to 4 replicas" in conditions(replicas=4)["state-not-shared"]
    assert conditions(replicas=4, redis={"url": "redis://a"}) == {}


@pytest.mark.anyio
async def test_devices_go_by_the_same_looks_and_counts_as_everybody(tmp_path: Path) -> None:
    settings = load(tmp_path, redis={"url": "redis://127.0.0.1:9"}, when_lost="open")
    registry = CollectorRegistry()
    state = SharedState(settings=settings, registry=registry, clock=MonotonicClock())
    async with AsyncExitStack() as stack:
        await state.start(stack)
        assert await state.store.run(Read("device-token", "a")) == [(0, None)]
        with pytest.raises(StateLost):
            await state.shared.run(Read("device-token", "a"))
    counted = {
        outcome: registry.get_sample_value(
            "tierflow_state_operations_total", {"operation": "read", "outcome": outcome}
        )
        for outcome in ("local", "lost")
    }
    assert counted == {"local": 1, "lost": 1}
