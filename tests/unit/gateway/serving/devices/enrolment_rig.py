"""Devices that enrol at a replica."""

from __future__ import annotations

from gateway.core.privacy import Privacy
from tests.unit.gateway.serving.devices.replica_rig import Replica

EVERY: frozenset[Privacy] = frozenset({"public", "owner", "private"})


async def minted(replica: Replica, name: str = "", owner: str = "", ttl_s: float = 900.0) -> str:
    return await replica.enrolments.mint(name, owner, EVERY, ttl_s)


async def enrolled(replica: Replica, name: str, owner: str = "") -> str:
    """Its token."""
    token = await minted(replica, name, owner)
    return (await replica.enrolments.exchange(token, "", "1.2.3.4"))[1]
