"""Keys that operators make: kept in the shared state or a file, and brought into memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.files.keys import KeyFile
from gateway.adapters.state.memory import MemoryStore
from gateway.core.access.key import EVERYTHING, Quotas, Scope
from gateway.core.access.stored_keys import StoredKeys
from gateway.core.state.operations import Advance, Operation
from gateway.errors import Conflict, InvalidKey, StateLost, UnknownKey
from gateway.serving.access.key_admin import KeyAdmin
from gateway.serving.access.key_store import KEYS, TABLE, KeyStore, KeyWatch, SharedKeys
from tests.unit.gateway.access_rig import NOW, AccessRig, api_key, secret
from tests.unit.gateway.build import BOUNDS
from tests.unit.gateway.fakes import StoppedClock

pytestmark = pytest.mark.anyio
NO_QUOTAS = Quotas()


class Losable(MemoryStore):
    """A store that can be lost, emptied, and fail as nobody foresees."""

    lost = False
    fault: Exception | None = None

    async def run(self, *operations: Operation) -> list[Any]:
        if self.fault is not None:
            raise self.fault
        if self.lost:
            raise StateLost("it is away", retry_after=1.0, code="state_lost")
        return await super().run(*operations)


class Replica:
    """One replica's table, watch and operators' side, on a store that others may share."""

    def __init__(self, store: KeyStore, *fixed: str) -> None:
        self.rig = AccessRig(*map(api_key, fixed))
        self.watch = KeyWatch(store, self.rig.keys)
        self.admin = KeyAdmin(
            table=self.rig.keys, watch=self.watch, unix_time=lambda: self.rig.unix_time
        )

    async def make(self, name: str, scope: Scope = EVERYTHING, **quotas: int) -> str:
        _, made = await self.admin.make(name, scope, Quotas(**quotas), None)
        return made

    async def knows(self, key: str) -> bool:
        try:
            return bool((await self.rig.access.identify(f"Bearer {key}")).key)
        except InvalidKey:
            return False


@pytest.fixture
def state() -> Losable:
    return Losable(StoppedClock(), BOUNDS)


@pytest.fixture(params=["shared", "file"])
def stores(request: pytest.FixtureRequest, state: Losable, tmp_path: Path) -> Iterator[Any]:
    """Makes stores that hold the same keys."""
    if request.param == "file":
        yield lambda: KeyFile(tmp_path / "keys.yaml")
    else:
        yield lambda: SharedKeys(state, StoppedClock())


async def test_a_key_is_good_here_at_once_and_elsewhere_at_the_next_look(stores: Any) -> None:
    here, other = Replica(stores()), Replica(stores())
    key = await here.make("team-a", Scope(tiers=frozenset({"edge"})), requests_per_min=3)
    assert re.fullmatch(r"tf-[A-Za-z0-9_-]{43}", key)
    assert await here.knows(key)
    assert not await other.knows(key)
    await other.watch.turn()
    assert await other.knows(key)
    assert other.admin.show("team-a") == here.admin.show("team-a")
    assert other.admin.show("team-a").quotas.requests_per_min == 3


async def test_a_revoked_key_is_refused_by_all(stores: Any) -> None:
    here, other = Replica(stores()), Replica(stores())
    key, kept = await here.make("team-a"), await here.make("team-b")
    await other.watch.turn()
    await other.admin.revoke("team-a")
    assert not await other.knows(key)
    await here.watch.turn()
    assert not await here.knows(key)
    assert await here.knows(kept)


async def test_a_rotation_leaves_the_old_key_good_for_its_grace_alone(stores: Any) -> None:
    here = Replica(stores())
    first = await here.make("team-a", requests_per_min=7)
    rotated, second = await here.admin.rotate("team-a", 60.0)
    assert rotated.quotas.requests_per_min == 7
    assert await here.knows(first) and await here.knows(second)
    here.rig.unix_time = NOW + 61
    assert not await here.knows(first)
    assert await here.knows(second)
    _, third = await here.admin.rotate("team-a", 0.0)
    assert not await here.knows(second) and await here.knows(third)


async def test_a_rotated_key_is_the_same_caller_and_a_name_made_anew_is_another(
    stores: Any,
) -> None:
    here, other = Replica(stores()), Replica(stores())
    owners = []

    async def note(key: str) -> None:
        for replica in (here, other):
            await replica.watch.turn()
            owners.append((await replica.rig.access.identify(f"Bearer {key}")).owner)

    await note(await here.make("team-a"))
    here.rig.unix_time += 0.25
    await note((await here.admin.rotate("team-a", 60.0))[1])
    await here.admin.revoke("team-a")
    await note(await here.make("team-a"))
    first, second = owners[0], owners[-1]
    assert owners == [first] * 4 + [second] * 2 and first != second


async def test_operators_at_once_lose_no_key(stores: Any) -> None:
    here, other = Replica(stores()), Replica(stores())
    stored, mark = await here.watch.store.read()
    key = await other.make("team-b")
    assert not await here.watch.store.write(stored.put(api_key()), mark)
    await here.make("team-a")
    await here.watch.turn()
    assert await here.knows(key)
    assert list(here.admin.keys()) == ["team-a", "team-b"]


async def test_names_are_unique_and_those_of_the_settings_stand(stores: Any) -> None:
    here = Replica(stores(), "fixed")
    await here.make("team-a")
    for name, code in (("team-a", "key_exists"), ("fixed", "key_exists")):
        with pytest.raises(Conflict) as raised:
            await here.make(name)
        assert raised.value.code == code
    for act in (here.admin.revoke("fixed"), here.admin.rotate("fixed", 0.0)):
        with pytest.raises(Conflict) as raised:
            await act
        assert raised.value.code == "key_in_settings"
    with pytest.raises(UnknownKey):
        await here.admin.revoke("nobody")


async def test_keys_are_asked_for_also_when_the_last_one_is_revoked(stores: Any) -> None:
    here = Replica(stores())
    assert not here.rig.keys.made
    await here.make("team-a")
    await here.admin.revoke("team-a")
    assert here.rig.keys.made
    other = Replica(stores())
    await other.watch.turn()
    assert other.rig.keys.made


async def test_without_a_place_for_keys_none_is_made() -> None:
    rig = AccessRig()
    admin = KeyAdmin(table=rig.keys, watch=None, unix_time=lambda: NOW)
    with pytest.raises(Conflict) as raised:
        await admin.make("team-a", EVERYTHING, NO_QUOTAS, None)
    assert raised.value.code == "keys_not_kept"


async def test_while_the_store_is_lost_keys_stay_good_and_a_condition_tells(
    state: Losable,
) -> None:
    here = Replica(SharedKeys(state, StoppedClock()))
    key = await here.make("team-a")
    state.lost = True
    await here.watch.turn()
    assert here.watch.problem == "it is away"
    assert await here.knows(key)
    with pytest.raises(StateLost):
        await here.admin.revoke("team-a")
    state.lost = False
    await here.watch.turn()
    assert here.watch.problem == ""


@pytest.mark.parametrize(
    "value",
    [b"7", b"\x81\xa4keys\x91\x81\xa4name\xa1\xff", b"\x81\xa1x" + b"\x91" * 5000 + b"\xc0"],
)
async def test_stored_keys_that_can_not_be_read_leave_the_last_ones_good(
    state: Losable, value: bytes
) -> None:
    here = Replica(SharedKeys(state, StoppedClock()))
    key = await here.make("team-a")
    await state.run(Advance(kind=KEYS, name=TABLE, expected=1, value=value, ttl_s=60.0))
    await here.watch.turn()
    assert here.watch.problem == "the keys in the shared state are unreadable"
    assert await here.knows(key)


async def test_a_failure_that_nobody_foresaw_ends_no_watch(state: Losable) -> None:
    here, other = (Replica(SharedKeys(state, StoppedClock())) for _ in range(2))
    key, state.fault = await here.make("team-a"), KeyError("3 + 4?")
    await here.watch.turn()
    assert here.watch.problem == "reading them failed with KeyError"
    state.fault = None
    await other.watch.turn()
    await other.admin.revoke("team-a")
    await here.watch.turn()
    assert here.watch.problem == "" and not await here.knows(key)


async def test_an_emptied_store_gets_the_newest_keys_back(state: Losable) -> None:
    older, newer = (Replica(SharedKeys(state, StoppedClock())) for _ in range(2))
    first = await older.make("team-a")
    await newer.watch.turn()
    second = await newer.make("team-b")
    state.clear()
    for replica in (older, newer, older):
        await replica.watch.turn()
    for replica in (older, newer, Replica(SharedKeys(state, StoppedClock()))):
        await replica.watch.turn()
        assert await replica.knows(first) and await replica.knows(second)


async def test_a_file_is_read_again_when_an_operator_has_edited_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    here = Replica(KeyFile(file))
    digest = api_key().digest
    file.write_text(f"keys:\n- {{name: team-a, digest: {digest}, created: 0}}\n")
    await here.watch.turn()
    assert await here.knows(secret("team-a"))
    file.write_text("keys: []\n")
    await here.watch.turn()
    assert not await here.knows(secret("team-a"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("keys: [{name: team-a}]", "digest"),
        ("keys: [{name: a b, digest: x, created: 0}]", "name"),
        ("keys: {", "line 1"),
        ("keys: [{name: a, digest: short, created: 0}]", "digest"),
        ("[]", "object"),
        ("a: {\xff", "line 1"),
    ],
)
async def test_a_broken_file_keeps_the_last_good_keys(
    tmp_path: Path, text: str, named: str
) -> None:
    file = tmp_path / "keys.yaml"
    here = Replica(KeyFile(file))
    key = await here.make("team-a")
    good = file.read_text()
    file.write_text(text)
    await here.watch.turn()
    assert str(file) in here.watch.problem and named in here.watch.problem
    assert await here.knows(key)
    with pytest.raises(StateLost):
        await here.make("team-b")
    assert file.read_text() == text
    file.write_text(good)
    await here.watch.turn()
    assert here.watch.problem == ""


async def test_a_file_of_keys_is_for_its_owner_alone_and_has_no_key(tmp_path: Path) -> None:
    file = tmp_path / "private" / "keys.yaml"
    key = await Replica(KeyFile(file)).make("team-a")
    assert file.stat().st_mode & 0o077 == 0
    assert key not in file.read_text()
    assert [each.name for each in file.parent.iterdir()] == ["keys.yaml"]


async def test_all_that_a_key_has_comes_back_from_where_it_is_kept(stores: Any) -> None:
    key = api_key(
        scope=Scope(
            models=frozenset({"m", "n"}),
            tiers=frozenset({"edge"}),
            ways=frozenset({"plain", "cascade"}),
            privacy=frozenset({"owner"}),
        ),
        requests_per_min=1,
        tokens_per_min=2,
        tokens_per_day=3,
        in_flight=4,
        fan_out=5,
        expires=NOW + 1,
        previous=api_key("old").digest,
        previous_until=NOW,
    )
    store = stores()
    _, mark = await store.read()
    assert await store.write(StoredKeys().put(key), mark)
    assert (await stores().read())[0] == StoredKeys(1, (key,))
