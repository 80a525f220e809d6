"""Whose questions a device answers."""

from __future__ import annotations

from gateway.core.devices.member import Member


def answers(member: Member, owner: str) -> bool:
    """Whether a request of this owner may be put to the device. `owner` is the one that the caller
    has proven to be, empty for everybody else."""
    if member.privacy == "public":
        return True
    return member.privacy == "owner" and member.owner != "" and member.owner == owner
