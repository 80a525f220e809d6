"""Redis decides as the pure rules do, whatever is done in whatever order."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.adapters.state.memory import MemoryStore
from gateway.adapters.state.redis.keys import Keys
from gateway.core.state.operations import (
    Advance,
    Claim,
    Complete,
    Draw,
    Forget,
    Held,
    Hold,
    Mean,
    Means,
    Observe,
    Operation,
    Read,
    Release,
    Spend,
)
from tests.contract.state.stores import Moving, functions_ahead, redis_store, target_of
from tests.redis_server import RedisServer, needs_redis, redis_server
from tests.unit.gateway.build import BOUNDS

pytestmark = [pytest.mark.redis, needs_redis]

# Times never come closer to an expiry than this machine could be late.
TRAVEL_S = 70.0
TTL_S = st.sampled_from([100.0, 200.0, 300.0])
NAME = st.sampled_from(["a", "b"])
WHO = st.sampled_from(["one", "two", "three"])
VALUE = st.binary(max_size=3)
LEASES = (
    st.builds(Hold, kind=st.just("k"), name=NAME, holder=WHO, value=VALUE, ttl_s=TTL_S),
    st.builds(Release, st.just("k"), NAME, WHO),
    st.just(Held("k")),
)
ROUNDS = (
    st.builds(
        Advance, kind=st.just("k"), name=NAME, expected=st.integers(0, 2), value=VALUE, ttl_s=TTL_S
    ),
    st.builds(Read, st.just("k"), NAME),
    st.builds(Forget, st.just("k"), NAME),
)
COUNTS = (
    st.builds(
        Spend,
        kind=st.just("k"),
        name=NAME,
        amount=st.sampled_from([0.0, 1.0, 2.5, 7.0]),
        burst=st.sampled_from([3.0, 6.0]),
        per_s=st.sampled_from([0.001, 0.03]),
    ),
    st.builds(
        Draw,
        kind=st.just("k"),
        name=NAME,
        drawn=st.sampled_from([-2.0, 0.0, 1.0, 7.0, 20.0]),
        burst=st.sampled_from([3.0, 6.0]),
        per_s=st.sampled_from([0.001, 0.03]),
    ),
    st.builds(
        Observe,
        kind=st.just("k"),
        name=NAME,
        value=st.sampled_from([0.0, 0.5, 1.0]),
        weight=st.sampled_from([0.0, 1.0, 2.0]),
        half_life_s=st.sampled_from([50.0, 500.0]),
    ),
    st.just(Means("k", ("a", "b"))),
)
CLAIMS = (
    st.builds(
        Claim, name=NAME, digest=st.sampled_from(["x", "y"]), holder=WHO, lease_s=TTL_S, ttl_s=TTL_S
    ),
    st.builds(Complete, name=NAME, holder=WHO, answer=st.none() | VALUE, ttl_s=TTL_S),
)
STEPS = st.lists(st.just(TRAVEL_S) | st.one_of(*LEASES, *ROUNDS, *COUNTS, *CLAIMS), max_size=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


@given(steps=STEPS)
@example(
    steps=[
        Spend(kind="k", name="a", amount=2.5, burst=3.0, per_s=0.03),
        TRAVEL_S,
        Spend(kind="k", name="a", amount=2.5, burst=3.0, per_s=0.03),
    ]
)
@settings(max_examples=150)
def test_redis_gives_what_the_rules_give(
    server: RedisServer, runner: asyncio.Runner, steps: list[Operation | float]
) -> None:
    runner.run(_compare(server, steps))


async def _compare(server: RedisServer, steps: list[Operation | float]) -> None:
    prefix = f"test-{secrets.token_hex(4)}"
    clock, redis = Moving(), redis_store(target_of(server), prefix)
    memory = MemoryStore(clock, BOUNDS)
    try:
        for step in steps:
            if isinstance(step, float):
                clock.ahead += step
                redis.functions = functions_ahead(clock.ahead)
                continue
            (ours,), (theirs,) = await memory.run(step), await redis.run(step)
            assert _alike(theirs, ours), (step, theirs, ours)
    finally:
        await redis.stop()
    with server.client() as client:
        left = list(client.scan_iter(f"{prefix}:*"))
        assert not [key for key in left if client.pttl(key) < 0]
        for key in left:
            client.delete(key)


def _alike(one: Any, other: Any) -> bool:
    """Equal, but for what passed of real time between the two."""
    if isinstance(one, list):
        return all(_alike(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, Mean):
        return _alike(one.value, other.value) and _alike(one.weight, other.weight)
    if isinstance(one, float) and not isinstance(other, bool):
        close: bool = one == pytest.approx(other, abs=1.0 if one > 10 else 0.02, rel=0.02)
        return close and (one == 0.0) == (other == 0.0)
    return bool(one == other)


def test_each_version_of_the_functions_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = {functions_ahead(seconds).name for seconds in (1.0, 2.0)}
    assert len(names) == 2
    for name in names:
        assert name.isidentifier()


@pytest.mark.parametrize("kind", ["device", "replica"])
def test_the_keys_of_an_operation_share_their_slot(kind: str) -> None:
    tags = {key.partition("{")[2].partition("}")[0] for key in Keys("tierflow").leases(kind)}
    assert tags == {kind}
    means = {Keys("tierflow").mean(kind, name) for name in ("a", "b")}
    assert {key.partition("{")[2].partition("}")[0] for key in means} == {kind}
