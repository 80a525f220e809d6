"""Where the names of pictures lead."""

from __future__ import annotations

import pytest

from gateway.core.bodies.media_urls import MediaName
from gateway.serving.requests.media_names import KEEP_S, MediaNames
from tests.unit.gateway.fakes import FixedNames, StoppedClock

pytestmark = pytest.mark.anyio
PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.7"


def at(host: str) -> MediaName:
    return MediaName("messages.0.content.0.image_url", host)


class Rig:
    def __init__(self, **addresses: list[str]) -> None:
        self.clock = StoppedClock()
        self.lookup = FixedNames({f"{name}.example.com": of for name, of in addresses.items()})
        self.names = MediaNames(self.lookup, self.clock)

    async def refuses(self, *names: str) -> bool:
        asked = [at(f"{name}.example.com") for name in names]
        return await self.names.problem(asked) is not None


@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        ([PUBLIC], False),
        ([PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"], False),
        ([], False),
        ([PRIVATE], True),
        ([PUBLIC, "127.0.0.1"], True),
        (["169.254.169.254"], True),
        (["::1"], True),
        (["fe80::1"], True),
        (["::ffff:10.0.0.7"], True),
    ],
)
async def test_a_name_is_as_good_as_the_worst_of_its_addresses(
    addresses: list[str], refused: bool
) -> None:
    assert await Rig(a=addresses).refuses("a") is refused


async def test_what_is_refused_names_its_field_and_no_address() -> None:
    rig = Rig(a=[PRIVATE])
    error = await rig.names.problem([at("b.example.com"), at("a.example.com")])
    assert error is not None
    assert (error.param, error.code) == ("messages.0.content.0.image_url", "invalid_value")
    assert "limits.media_hosts" in error.message
    assert PRIVATE not in error.message


async def test_a_name_is_looked_up_again_after_a_while() -> None:
    rig = Rig(a=[PUBLIC])
    assert not await rig.refuses("a") and not await rig.refuses("a")
    assert rig.lookup.asked == ["a.example.com"]
    rig.lookup.known["a.example.com"] = [PRIVATE]
    rig.clock.time += KEEP_S
    assert await rig.refuses("a")
