"""What every store does alike: in memory, in Redis, by sentinels, in a cluster."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from gateway.core.state.operations import (
    Advance,
    Claim,
    ClaimResult,
    ClaimState,
    Complete,
    Draw,
    Forget,
    Held,
    Hold,
    Mean,
    Means,
    Observe,
    Read,
    Release,
    Spend,
)
from gateway.errors import StateLost
from tests.contract.state.stores import Servers, StoreReplicas, keys_of, replicas
from tests.redis_server import needs_redis

pytestmark = pytest.mark.anyio
MARKS = [pytest.mark.redis, needs_redis]
REDIS = [pytest.param(kind, marks=MARKS) for kind in ("redis", "sentinel", "cluster")]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("redis"), stack)


@pytest.fixture(params=["memory", *REDIS])
async def state(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[StoreReplicas]:
    async with replicas(request.param, servers) as found:
        yield found


@pytest.fixture(params=REDIS)
async def redis(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[StoreReplicas]:
    async with replicas(request.param, servers) as found:
        yield found


def hold(holder: str, value: bytes = b"", name: str = "phone", ttl_s: float = 10.0) -> Hold:
    return Hold(kind="device", name=name, holder=holder, value=value, ttl_s=ttl_s)


def claim(holder: str, digest: str = "body", lease_s: float = 5.0) -> Claim:
    return Claim(name="key", digest=digest, holder=holder, lease_s=lease_s, ttl_s=60.0)


async def test_a_lease_is_its_holders_and_read_by_all(state: StoreReplicas) -> None:
    assert await state.first(hold("one", b"first"))
    assert await state.other.run(hold("two", b"second")) == [False]
    assert await state.other.run(Held("device")) == [{"phone": b"first"}]
    assert await state.run(Held("another kind")) == [{}]


async def test_a_renewed_lease_lives_on_with_its_new_value(state: StoreReplicas) -> None:
    await state.run(hold("one", b"first"))
    state.travel(8)
    assert await state.first(hold("one", b"second"))
    state.travel(8)
    assert await state.first(Held("device")) == {"phone": b"second"}
    state.travel(8)
    assert await state.first(Held("device")) == {}


async def test_an_expired_lease_is_anybodys(state: StoreReplicas) -> None:
    await state.run(hold("one"))
    state.travel(11)
    assert await state.run(hold("two", b"2"), Held("device")) == [True, {"phone": b"2"}]
    assert await state.run(hold("one"), Release("device", "phone", "one")) == [False, False]


async def test_leases_of_a_kind_end_each_in_its_time(state: StoreReplicas) -> None:
    await state.run(hold("one", b"a", "tablet", 100), hold("one", b"b", "phone", 5))
    state.travel(6)
    assert await state.first(Held("device")) == {"tablet": b"a"}
    assert await state.run(hold("two", b"c", "phone", 5), hold("two", b"d", "tablet")) == [
        True,
        False,
    ]


async def test_a_lease_is_given_up_by_its_holder_only(state: StoreReplicas) -> None:
    await state.run(hold("one"))
    assert not await state.first(Release("device", "phone", "two"))
    assert await state.first(Release("device", "phone", "one"))
    assert not await state.first(Release("device", "phone", "one"))
    assert await state.run(Held("device"), hold("two")) == [{}, True]


async def test_more_leases_are_listed_than_one_command_takes(state: StoreReplicas) -> None:
    names = [f"device-{number}" for number in range(2500)]
    for start in range(0, len(names), 500):
        await state.run(*(hold("one", n.encode(), n, 50) for n in names[start : start + 500]))
    assert await state.first(Held("device")) == {name: name.encode() for name in names}
    state.travel(51)
    assert await state.run(hold("one", b"", "last"), Held("device")) == [True, {"last": b""}]


async def test_a_round_follows_only_the_one_its_writer_saw(state: StoreReplicas) -> None:
    def advance(expected: int, value: bytes) -> Advance:
        return Advance(kind="collective", name="c", expected=expected, value=value, ttl_s=10.0)

    assert await state.first(Read("collective", "c")) == (0, None)
    assert await state.run(advance(1, b"early"), advance(0, b"a"), advance(0, b"late")) == [
        False,
        True,
        False,
    ]
    assert await state.other.run(Read("collective", "c")) == [(1, b"a")]
    assert await state.run(advance(1, b"\x00\xff"), Read("collective", "c")) == [
        True,
        (2, b"\x00\xff"),
    ]
    state.travel(11)
    assert await state.run(Read("collective", "c"), advance(0, b"anew")) == [(0, None), True]


async def test_what_is_forgotten_starts_anew(state: StoreReplicas) -> None:
    await state.run(Advance(kind="collective", name="c", expected=0, value=b"a", ttl_s=10.0))
    assert await state.run(Forget("collective", "c"), Forget("collective", "c")) == [True, False]
    await state.run(Advance(kind="collective", name="c", expected=0, value=b"a", ttl_s=10.0))
    state.travel(11)
    assert await state.run(Forget("collective", "c"), Read("collective", "c")) == [
        False,
        (0, None),
    ]


async def test_a_bucket_says_when_there_will_be_enough(state: StoreReplicas) -> None:
    def spend(amount: float) -> Spend:
        return Spend(kind="quota", name="caller", amount=amount, burst=10.0, per_s=0.5)

    taken, wait = await state.run(spend(8.0), spend(6.0))
    assert (taken, wait) == (0.0, pytest.approx(8.0, abs=1.0))
    state.travel(wait)
    assert await state.first(spend(6.0)) == 0.0
    assert await state.first(spend(10.5)) == math.inf
    state.travel(1000)
    assert await state.run(spend(10.0)) == [0.0]
    assert await state.first(spend(10.0)) > 15.0


async def test_a_bucket_may_be_overdrawn_and_time_pays_the_debt(state: StoreReplicas) -> None:
    def draw(drawn: float) -> Draw:
        return Draw(kind="key-quota", name="team-a", drawn=drawn, burst=10.0, per_s=0.5)

    assert await state.first(draw(25.0)) == pytest.approx(-15.0, abs=1.0)
    assert await state.first(draw(-5.0)) == pytest.approx(-10.0, abs=1.0)
    state.travel(30)
    assert await state.first(draw(0.0)) == pytest.approx(5.0, abs=1.0)
    assert await state.first(draw(-100.0)) == 10.0


async def test_a_mean_forgets_by_halves(state: StoreReplicas) -> None:
    def observe(value: float, weight: float = 1.0) -> Observe:
        return Observe(
            kind="quality", name="phone/mathematics", value=value, weight=weight, half_life_s=100.0
        )

    assert await state.first(observe(1.0, 2.0)) == Mean(1.0, 2.0)
    state.travel(100)
    mean = await state.first(observe(0.0))
    assert mean.value == pytest.approx(0.5, abs=0.02)
    assert mean.weight == pytest.approx(2.0, rel=0.02)
    names = ["phone/mathematics", "nobody/mathematics"]
    (known, unknown) = await state.first(Means("quality", names))
    assert unknown == Mean()
    assert (known.value, known.weight) == (mean.value, pytest.approx(mean.weight, rel=0.02))
    state.travel(3201)
    assert await state.first(Means("quality", names)) == [Mean(), Mean()]
    assert await state.first(Means("quality", [])) == []
    assert await state.first(observe(0.25, 0.0)) == Mean()


async def test_one_request_does_the_work_and_all_get_its_answer(state: StoreReplicas) -> None:
    assert await state.run(claim("one"), claim("two"), claim("two", "other")) == [
        ClaimResult(ClaimState.NEW),
        ClaimResult(ClaimState.RUNNING),
        ClaimResult(ClaimState.MISMATCH),
    ]
    assert await state.run(Complete(name="key", holder="two", answer=b"wrong", ttl_s=60.0)) == [
        False
    ]
    assert await state.run(Complete(name="key", holder="one", answer=b"", ttl_s=60.0)) == [True]
    assert await state.other.run(claim("two"), claim("one"), claim("x", "other")) == [
        ClaimResult(ClaimState.DONE, b""),
        ClaimResult(ClaimState.DONE, b""),
        ClaimResult(ClaimState.MISMATCH),
    ]
    state.travel(61)
    assert await state.first(claim("x", "other")) == ClaimResult(ClaimState.NEW)


async def test_a_claim_whose_holder_died_is_taken_over_after_its_lease(
    state: StoreReplicas,
) -> None:
    await state.run(claim("dies"))
    state.travel(4)
    assert await state.run(claim("dies"), claim("next")) == [
        ClaimResult(ClaimState.NEW),
        ClaimResult(ClaimState.RUNNING),
    ]
    state.travel(6)
    assert await state.first(claim("next", "other")) == ClaimResult(ClaimState.MISMATCH)
    assert await state.run(claim("next"), claim("dies")) == [
        ClaimResult(ClaimState.TAKEN_OVER),
        ClaimResult(ClaimState.RUNNING),
    ]
    assert await state.run(
        Complete(name="key", holder="dies", answer=b"late", ttl_s=60.0),
        Complete(name="key", holder="next", answer=b"answer", ttl_s=60.0),
    ) == [False, True]
    assert await state.first(Complete(name="key", holder="next", answer=None, ttl_s=60.0)), (
        "an answer stays"
    )
    assert await state.first(claim("dies")) == ClaimResult(ClaimState.DONE, b"answer")


async def test_a_claim_that_is_given_up_can_be_made_again(state: StoreReplicas) -> None:
    await state.run(claim("one"), Complete(name="key", holder="one", answer=None, ttl_s=60.0))
    assert await state.run(
        claim("two", "other"), Complete(name="none", holder="two", answer=b"", ttl_s=1.0)
    ) == [
        ClaimResult(ClaimState.NEW),
        False,
    ]


@pytest.mark.parametrize("name", ["a{b}c", "}{", "{}", "with space", "ü/\n%:*", "n" * 1024])
async def test_a_name_may_be_anything(state: StoreReplicas, name: str) -> None:
    results = await state.run(
        Hold(kind="device", name=name, holder=name, value=b"v", ttl_s=5.0),
        Held("device"),
        Advance(kind="session", name=name, expected=0, value=b"v", ttl_s=5.0),
        Spend(kind="quota", name=name, amount=1.0, burst=1.0, per_s=1.0),
        Observe(kind="quality", name=name, value=1.0, weight=1.0, half_life_s=5.0),
        Means("quality", [name]),
        Claim(name=name, digest="d", holder=name, lease_s=1.0, ttl_s=5.0),
    )
    assert results[:4] == [True, {name: b"v"}, True, 0.0]
    assert results[6] == ClaimResult(ClaimState.NEW)


@pytest.mark.parametrize(
    "operation",
    [
        Hold(kind="device", name="", holder="one", value=b"", ttl_s=5.0),
        Hold(kind="device", name="n" * 1025, holder="one", value=b"", ttl_s=5.0),
        Hold(kind="device", name="phone", holder="one", value=b"", ttl_s=0.0),
        Hold(kind="device", name="phone", holder="one", value=b"", ttl_s=math.inf),
        Observe(kind="quality", name="phone", value=math.nan, weight=1.0, half_life_s=5.0),
        Observe(kind="quality", name="phone", value=1.0, weight=-1.0, half_life_s=5.0),
        Spend(kind="quota", name="phone", amount=1.0, burst=1.0, per_s=0.0),
        Means("quality", ["n"] * 10_001),
    ],
)
async def test_what_nobody_can_mean_is_refused(state: StoreReplicas, operation: Observe) -> None:
    with pytest.raises(ValueError, match=f"{type(operation).__name__}\\."):
        await state.run(operation)


async def test_a_value_that_is_too_large_is_refused(state: StoreReplicas) -> None:
    with pytest.raises(StateLost) as refused:
        await state.run(hold("one", bytes(4 * 1024 * 1024 + 1)))
    assert refused.value.code == "state_too_large"
    assert await state.first(hold("one", bytes(4 * 1024 * 1024)))


async def test_nothing_asked_is_nothing_done(state: StoreReplicas) -> None:
    assert await state.run() == []


async def test_messages_arrive_at_every_replica_in_order(state: StoreReplicas) -> None:
    heard: dict[str, list[bytes]] = {"one": [], "other": [], "elsewhere": []}
    last = asyncio.Event()

    def take(message: bytes) -> None:
        heard["other"].append(message)
        if message == b"99":
            last.set()

    await state.one.listen("work", heard["one"].append)
    stop = await state.other.listen("work", take)
    await state.one.listen("elsewhere", heard["elsewhere"].append)
    for number in range(100):
        await state.one.publish("work", b"%d" % number)
    async with asyncio.timeout(20):
        await last.wait()
    assert heard["other"] == [b"%d" % number for number in range(100)]
    assert heard["elsewhere"] == []
    stop()
    stop()
    last.clear()
    await state.other.listen("work", lambda message: last.set())
    await state.one.publish("work", b"later")
    async with asyncio.timeout(20):
        await last.wait()
    assert len(heard["other"]) == 100


async def test_a_listener_that_fails_takes_nothing_from_the_others(state: StoreReplicas) -> None:
    def fail(message: bytes) -> None:
        raise RuntimeError

    heard = asyncio.Queue[bytes]()
    await state.one.listen("work", fail)
    await state.one.listen("work", heard.put_nowait)
    await state.other.publish("work", b"1")
    await state.other.publish("work", b"2")
    async with asyncio.timeout(20):
        assert [await heard.get(), await heard.get()] == [b"1", b"2"]


async def test_one_of_many_advances_a_round(state: StoreReplicas) -> None:
    stores = (state.one, state.other)
    for expected in range(3):
        tries = (
            stores[n % 2].run(
                Advance(kind="collective", name="c", expected=expected, value=b"%d" % n, ttl_s=60.0)
            )
            for n in range(50)
        )
        won = [number for number, (result,) in enumerate(await asyncio.gather(*tries)) if result]
        assert len(won) == 1
        assert await state.first(Read("collective", "c")) == (expected + 1, b"%d" % won[0])


async def test_one_of_many_claims_and_one_of_many_takes_over(state: StoreReplicas) -> None:
    stores = (state.one, state.other)
    for generation, expected in enumerate((ClaimState.NEW, ClaimState.TAKEN_OVER)):
        tries = (stores[number % 2].run(claim(f"{generation}-{number}")) for number in range(40))
        found = Counter(result.state for (result,) in await asyncio.gather(*tries))
        assert found == {expected: 1, ClaimState.RUNNING: 39}
        state.travel(6)


async def test_no_more_is_spent_than_there_is(state: StoreReplicas) -> None:
    stores = (state.one, state.other)
    tries = (
        stores[n % 2].run(Spend(kind="quota", name="caller", amount=1.0, burst=10.0, per_s=1e-6))
        for n in range(60)
    )
    results = [result for (result,) in await asyncio.gather(*tries)]
    assert results.count(0.0) == 10


async def test_every_key_expires(redis: StoreReplicas) -> None:
    await redis.run(
        hold("one", b"v"),
        hold("one", b"v", "tablet", 1.0),
        Advance(kind="collective", name="c", expected=0, value=b"v", ttl_s=5.0),
        Spend(kind="quota", name="caller", amount=3.0, burst=10.0, per_s=1.0),
        Spend(kind="quota", name="patient", amount=0.0000001, burst=10.0, per_s=1.0),
        Draw(kind="key-quota", name="team-a", drawn=30.0, burst=10.0, per_s=1.0),
        Observe(kind="quality", name="phone", value=1.0, weight=1.0, half_life_s=5.0),
        claim("one"),
        Claim(name="done", digest="body", holder="one", lease_s=5.0, ttl_s=60.0),
        Complete(name="done", holder="one", answer=b"answer", ttl_s=60.0),
    )
    left = {key: ttl for _, key, ttl in keys_of(redis)}
    # Three keys hold the leases; the bucket that is all but full may be gone already.
    assert len(left) >= 8
    assert not [key for key, ttl in left.items() if ttl < 0]
    lasting = max(ttl for key, ttl in left.items() if ":lease:" in key)
    assert lasting > 5000, "the shorter of two leases must not end the longer"
