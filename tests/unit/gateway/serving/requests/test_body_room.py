"""All bodies together have a bound, and a body that finds no room takes none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bodies.body_outline import SMALL_BYTES
from gateway.errors import Overloaded, RequestRateExceeded
from gateway.serving.requests.body_room import BodyRoom, HeldBody
from tests.unit.gateway.fakes import Recorder


def test_a_body_is_counted_while_its_request_lasts() -> None:
    room = BodyRoom(100, Recorder())
    with HeldBody(room) as held:
        assert held.grow(60) and held.grow(40)
        held.check()
        assert room.used == 100
    assert room.used == 0


def test_a_body_without_room_is_refused_counted_and_holds_nothing() -> None:
    telemetry = Recorder()
    room = BodyRoom(100, telemetry)
    with HeldBody(room) as first, HeldBody(room) as second:
        assert first.grow(60)
        assert second.grow(30)
        assert not second.grow(30)
        assert room.used == 60
        assert not second.grow(1), "it is given up as a whole"
        with pytest.raises(Overloaded) as caught:
            second.check()
        assert "limits.max_bodies_bytes" in caught.value.message
        assert first.grow(40)
        first.check()
    assert room.used == 0
    assert telemetry.sheds == ["bodies"]


def test_a_body_that_breaks_off_gives_its_room_back() -> None:
    room = BodyRoom(100, Recorder())
    with pytest.raises(ZeroDivisionError), HeldBody(room) as held:
        held.grow(60)
        raise ZeroDivisionError
    assert room.used == 0


def test_a_body_is_held_until_the_last_that_needs_it_has_ended() -> None:
    room = BodyRoom(100, Recorder())
    held = HeldBody(room)
    with held:
        held.grow(60)
        later = held.__enter__()
    assert room.used == 60
    later.__exit__(None, None, None)
    assert room.used == 0


def held_by(room: BodyRoom, caller: str, size: int, *, more: bool = True) -> HeldBody:
    held = HeldBody(room).__enter__()
    held.caller = caller
    held.grow(size, more=more)
    if not more:
        held.check()
    return held


def is_kept(held: HeldBody) -> bool:
    try:
        held.check()
    except Overloaded:
        return False
    return True


def test_one_caller_cannot_fill_the_room_for_the_others() -> None:
    room = BodyRoom(4 << 20, Recorder())
    greedy = [held_by(room, "greedy", 1 << 20) for _ in range(4)]
    other = held_by(room, "other", 80, more=False)
    assert (other.bytes, room.used) == (80, (4 << 20) + 80), "small ones have a reserve"
    other.grow(1 << 20)
    assert other.bytes == (1 << 20) + 80
    assert sorted(body.bytes for body in greedy) == [0, 0, 1 << 20, 1 << 20]
    assert sum(map(is_kept, greedy)) == 2


def test_a_body_that_gives_way_is_out_of_memory_at_once() -> None:
    room = BodyRoom(100, Recorder())
    greedy, forgotten = held_by(room, "greedy", 100), list[str]()
    greedy.forget = lambda: forgotten.append("greedy")
    held_by(room, "other", 40)
    assert forgotten == ["greedy"]
    assert room.used == 40
    assert not greedy.grow(1)


def test_none_gives_way_to_one_who_has_more_or_once_it_is_in_work() -> None:
    room = BodyRoom(4 << 20, Recorder())
    in_work = held_by(room, "long", 3 << 20, more=False)
    arriving = held_by(room, "short", 1 << 20)
    late = held_by(room, "greedy", 1 << 20)
    assert (in_work.bytes, arriving.bytes, late.bytes) == (3 << 20, 1 << 20, 0)
    assert not is_kept(late)


def test_where_giving_way_would_not_suffice_nobody_does() -> None:
    room = BodyRoom(100, Recorder())
    held_by(room, "long", 90, more=False)
    short = held_by(room, "short", 10)
    assert not held_by(room, "other", 50).bytes
    assert short.bytes == 10


def test_a_key_has_no_more_bodies_under_way_than_requests_in_flight() -> None:
    room = BodyRoom(1000, Recorder())

    def lonely() -> HeldBody:
        held = HeldBody(room).__enter__()
        held.caller, held.key, held.most = "key lonely", "lonely", 1
        return held

    first, second = lonely(), lonely()
    assert first.grow(10, more=True)
    assert not second.grow(10, more=True)
    with pytest.raises(RequestRateExceeded, match="lonely"):
        second.check()
    assert first.grow(10)
    first.check()
    assert lonely().grow(10, more=True)


moves = st.lists(
    st.tuples(
        st.sampled_from(["grow", "check", "leave"]),
        st.integers(0, 5),
        st.integers(0, 2 * SMALL_BYTES),
    ),
    max_size=40,
)


@given(moves=moves)
def test_the_room_is_never_overfull_and_counts_right(moves: list[tuple[str, int, int]]) -> None:
    room = BodyRoom(5 * SMALL_BYTES, Recorder())
    bodies = [HeldBody(room).__enter__() for _ in range(6)]
    for index, body in enumerate(bodies):
        body.caller = str(index % 3)
    for move, index, size in moves:
        body = bodies[index]
        if move == "grow":
            body.grow(size, more=True)
        elif move == "check":
            is_kept(body)
        else:
            body.__exit__(None, None, None)
            caller = body.caller
            bodies[index] = HeldBody(room).__enter__()
            bodies[index].caller = caller
        assert room.used == sum(each.bytes for each in bodies)
        assert room.used <= room.max_bytes * 17 // 16
    for body in bodies:
        body.__exit__(None, None, None)
    assert (room.used, room._shares, room._arriving) == (0, {}, {})
