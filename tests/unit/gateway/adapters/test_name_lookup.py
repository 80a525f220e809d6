from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.adapters.name_lookup import SystemNameLookup

pytestmark = pytest.mark.anyio


@pytest.fixture
def lookup() -> Iterator[SystemNameLookup]:
    made = SystemNameLookup()
    yield made
    made.close()


async def test_a_name_leads_to_addresses(lookup: SystemNameLookup) -> None:
    assert "127.0.0.1" in await lookup.addresses("localhost")


@pytest.mark.parametrize("host", ["nobody.invalid", "x" * 70 + ".example.com", "a..b"])
async def test_what_is_not_found_has_no_address(lookup: SystemNameLookup, host: str) -> None:
    assert list(await lookup.addresses(host)) == []
