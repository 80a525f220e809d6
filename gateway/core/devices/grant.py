"""Grants: what a device may register as, by the token that it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.core.access.key import Identity
from gateway.core.devices.member import Member
from gateway.core.privacy import Privacy

ALL: frozenset[Privacy] = frozenset({"public", "owner", "private"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a device's token stands for: its name, its owner, its privacy classes.

    `owner` None: nobody recorded one, and the device names it itself. `privacy`: the classes that
    it may register with. `digest`: the SHA-256 of an enrolled token; empty for a token of the
    settings, which can't be revoked through the API.
    """

    device: str
    owner: str | None = None
    privacy: frozenset[Privacy] = ALL
    digest: str = ""

    @property
    def identity(self) -> Identity:
        """Who calls with this token. One that is enrolled anew under the name is another."""
        id = f"device {self.device}"
        return Identity(id=id, owner=f"{id} {self.digest}")


class RegistrationRefused(Exception):
    """A registration that can't be; the device's connection ends. `code`: duplicate_device,
    owner_differs or privacy_not_allowed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def admit(grant: Grant, offered: Member, max_work: int) -> Member:
    """The member that a device becomes, which has `offered` to be one. Raises RegistrationRefused.

    Only a recorded owner is proven, so a device that names another one is refused.
    """
    if grant.owner is not None and offered.owner not in ("", grant.owner):
        raise RegistrationRefused(
            "owner_differs",
            "owner: another one is recorded for this token; leave it out, or enrol the device anew",
        )
    if offered.privacy not in grant.privacy:
        allowed = ", ".join(sorted(grant.privacy))
        raise RegistrationRefused(
            "privacy_not_allowed", f"privacy: this device was enrolled for {allowed}"
        )
    return replace(
        offered,
        id=grant.device,
        owner=offered.owner if grant.owner is None else grant.owner,
        max_work=min(offered.max_work, max_work),
    )


def duplicate() -> RegistrationRefused:
    """Another process of the device is registered under its name."""
    return RegistrationRefused(
        "duplicate_device",
        "another process with this token is registered; give each device a token of its own, or "
        "wait until that one's lease is over",
    )
