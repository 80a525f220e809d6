"""All bodies together have a bound, and a body that finds no room takes none."""

from __future__ import annotations

import pytest

from gateway.errors import Overloaded
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
